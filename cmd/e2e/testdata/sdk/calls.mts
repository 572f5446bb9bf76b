// Calls of every kind through the packages, checked where they are made.
import assert from 'node:assert/strict'
import { $, Contact, Deal } from '@headlessly/crm'
import { HeadlesslyError } from '@headlessly/sdk'

const ada = await Contact.create({ name: 'Ada', email: 'ada@example.com', stage: 'Lead' })
assert.match(ada.$id, /^contact_[A-Za-z0-9]{8,12}$/)
assert.equal(ada.$version, 1)
const qualified = await Contact.qualify(ada.$id)
assert.equal(qualified.stage, 'Qualified')
const updated = await Contact.update({ id: ada.$id, leadScore: 7 }, { ifVersion: 2 })
assert.equal(updated.leadScore, 7)
await assert.rejects(Contact.update(ada.$id, { leadScore: 8 }, { ifVersion: 1 }), { code: 'version_mismatch', status: 412 })
await assert.rejects(Contact.create({ name: 'B', stage: 'Nope' as never }), (e: HeadlesslyError) => e.code === 'validation_failed' && e.field === 'stage' && e instanceof HeadlesslyError)
await assert.rejects(Contact.create({ name: 'Ada 2', email: 'ada@example.com' }), { code: 'conflict' })
await assert.rejects(($ as any).Contact.qualfy(ada.$id), { code: 'not_found' })

for (const name of ['a', 'b', 'c']) await Deal.create({ name, value: 10, contact: ada.$id })
const page = await Deal.find({ value: { $gte: 10 } }, { sort: 'name', limit: 2 })
assert.deepEqual([page.map((d) => d.name), page.total, page.hasMore], [['a', 'b'], 3, true])
const names = []
for await (const deal of page.all()) names.push(deal.name)
assert.deepEqual(names, ['a', 'b', 'c'])
assert.equal(await Deal.count({ name: 'b' }), 1)

const back = await Contact.rollback(ada.$id, { version: 1 })
assert.equal(back.stage, 'Lead')
const before = await Contact.get(ada.$id, { asOf: updated.$updatedAt })
assert.equal(before.leadScore, 7)
assert.deepEqual((await Contact.history(ada.$id)).map((e) => e.type), ['Contact.Created', 'Contact.Qualified', 'Contact.Updated', 'Contact.RolledBack'])
await Contact.delete(ada)
await assert.rejects(Contact.get(ada), { code: 'not_found' })

const results = await $.batch([
  { type: 'Deal', verb: 'create', data: { name: 'd' } },
  { type: 'Deal', verb: 'create', data: { value: 1 } },
])
assert.equal(results.length, 2)

const seen: string[] = []
const stop = new AbortController()
for await (const event of $.events.stream({ after: 0, type: 'Deal.*', signal: stop.signal })) {
  seen.push(event.type)
  if (seen.length === 4) break
}
stop.abort()
assert.deepEqual(seen, ['Deal.Created', 'Deal.Created', 'Deal.Created', 'Deal.Created'])
assert.equal((await $.status()).tenant, 'default')
console.log('all as promised')
$.close()
