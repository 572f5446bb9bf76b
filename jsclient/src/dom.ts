import { config } from './core'

/** A short CSS path of an element: up to an id, or 100 characters. */
export const selectorOf = (start: Node | null | undefined): string => {
  let path = ''
  for (let node = start; node && node.nodeType !== 9; node = node.parentNode) {
    const { id, classList, nodeName } = node as Element
    const part = id ? '#' + id : [nodeName.toLowerCase(), ...[...(classList || [])].sort()].join('.')
    if (path.length + part.length > 99) return path || part
    path = part + (path && '>' + path)
    if (id) break
  }
  return path
}

/** Whether an element and all in it must stay out: data-hly-ignore. */
export const ignored = (element: Element): boolean => !!element.closest('[data-hly-ignore]')

/**
 * What an element says, at most 100 characters: never what a visitor typed,
 * nothing below data-hly-mask or what the mask option names, and without mail
 * addresses and long numbers.
 */
export const textOf = (element: Element): string | undefined => {
  const mask = /^(true)?$/.test('' + config.mask) ? '*' : config.mask
  if (element.closest('[data-hly-mask],input,select,textarea,[contenteditable],' + mask)) return
  return (element.getAttribute('aria-label') || element.textContent || '')
    .slice(0, 1000)
    .replace(/\s+/g, ' ')
    .replace(/\S+@\S+|\d[\d -]{5,}\d/g, '***')
    .trim()
    .slice(0, 100)
}
