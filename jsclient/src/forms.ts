import { listen, subscribe, wants } from './core'
import { ignored, selectorOf } from './dom'
import { emit } from './emit'

const touched = new Map<HTMLFormElement, Set<string>>()

const tell = (event: string, form: HTMLFormElement, lastField?: string): void => {
  // A field named id or action hides the form's own property: ask for attributes.
  const { origin, pathname } = new URL(form.getAttribute('action') || '', location.href)
  emit('form', {
    event,
    properties: {
      id: form.getAttribute('id'),
      action: origin + pathname,
      selector: selectorOf(form),
      touched: touched.get(form)?.size || 0,
      lastField,
    },
  })
  touched.delete(form)
}
const abandon = (): void => {
  for (const [form, fields] of touched) tell('form_abandon', form, [...fields].pop())
}

/** Form submits and forms left half filled: which, and how far, never a value. */
export const forms = (): void => {
  if (!wants('forms')) return
  listen(document, 'submit', ({ target }) => {
    if (!ignored(target as Element)) tell('form_submit', target as HTMLFormElement)
  })
  listen(document, 'input change', ({ target }) => {
    const field = target as HTMLInputElement
    const { form } = field
    if (!form || ignored(field)) return
    const name = field.getAttribute('name') || field.getAttribute('id') || field.type
    const fields = touched.get(form) || new Set()
    fields.delete(name)
    touched.set(form, fields.add(name))
  })
  subscribe('hide', (gone: boolean) => gone && abandon())
  subscribe('leave', abandon)
}
