// A program with hooks, as a user writes one. It says on standard output what it sees, and ends on a line of input.
import { createInterface } from 'node:readline'
import { Contact, Deal } from '@headlessly/crm'
import { $ } from '@headlessly/sdk'

const say = (text: string) => console.log(text)

const hooks = [
  Contact.creating((draft) => {
    if (draft.name === 'Mallory') throw new Error('Mallory is not welcome')
    draft.source = 'hooked'
  }),
  Contact.updating((draft) => ({ organization: String(draft.organization ?? '').toUpperCase() || null })),
  Deal.closed((deal, $, event) => {
    say(`closed ${deal.name} ${event.type}`)
    $.Contact.create({ name: `Buyer of ${deal.name}` }) // left alone: the hook is done when this is
  }),
]
await Promise.all(hooks.map((hook) => hook.ready))
say('ready')
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'remove') {
    await hooks[0]?.remove()
    say('removed')
  } else if (line === 'end') break
}
$.close()
