import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { Headlessly, HeadlesslyError } from '../../packages/sdk/src/index.js'
import { floating } from '../../packages/sdk/src/pending.js'
import { verifyWebhook } from '../../packages/sdk/src/webhooks.js'

interface Seen {
  method: string
  url: string
  body: unknown
  headers: IncomingMessage['headers']
}

let server: Server | undefined
afterEach(() => server?.close())

/** A server that answers by a function, and what it saw. */
async function serve(
  answer: (seen: Seen, res: ServerResponse) => void,
): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = []
  server = createServer(async (req, res) => {
    let raw = ''
    for await (const chunk of req) raw += chunk
    const s = {
      method: req.method ?? '',
      url: decodeURIComponent(req.url ?? ''),
      body: raw ? JSON.parse(raw) : undefined,
      headers: req.headers,
    }
    seen.push(s)
    answer(s, res)
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

const json = (res: ServerResponse, status: number, body: unknown, headers = {}) => {
  res.writeHead(status, { 'Content-Type': 'application/json', ...headers })
  res.end(JSON.stringify(body))
}

describe('calls', () => {
  it('refuse an id that an entity does not have, and make no call of it', async () => {
    const { url, seen } = await serve((_, res) => json(res, 200, {}))
    const $ = Headlessly({ url, tenant: 'acme', apiKey: 'hly_sk_1' })
    const sub: { contact?: string } = {}
    for (const call of [
      () => $.Contact.update(sub.contact, { stage: 'Churned' }),
      () => $.Contact.capture(sub.contact, { name: 'Ada' }),
      () => $.Campaign.add(null, { contact: 'contact_a' }),
      () => $.Contact.get(sub.contact as string),
      () => $.Contact.update({ stage: 'Churned' } as any),
    ]) {
      await expect(call()).rejects.toThrow(/needs the id of a (Contact|Campaign)/)
    }
    expect(seen).toEqual([])
  })

  it('take both shapes of a verb, and the right paths', async () => {
    const { url, seen } = await serve((_, res) => json(res, 200, { $id: 'x_1' }))
    const $ = Headlessly({ url, tenant: 'acme', apiKey: 'hly_sk_1' })
    await $.Integration.connect({ provider: 'stripe', apiKey: 'sk_test_1' })
    await $.Integration.sync({ id: 'integration_a' })
    await $.Integration.sync('integration_a')
    await $.Contact.update('contact_a', { stage: 'Churned' })
    await $.Contact.update({ id: 'contact_a', stage: 'Churned' }, { ifVersion: 3 })
    await $.Campaign.add('campaign_a', { contact: 'contact_a' })
    await $.Contact.delete({ $id: 'contact_a' })
    expect(seen.map((s) => [s.method, s.url, s.body, s.headers['if-match']])).toEqual([
      ['POST', '/~acme/Integration/connect', { provider: 'stripe', apiKey: 'sk_test_1' }, undefined],
      ['POST', '/~acme/Integration/integration_a/sync', {}, undefined],
      ['POST', '/~acme/Integration/integration_a/sync', {}, undefined],
      ['PATCH', '/~acme/Contact/contact_a', { stage: 'Churned' }, undefined],
      ['PATCH', '/~acme/Contact/contact_a', { stage: 'Churned' }, '"3"'],
      ['POST', '/~acme/Campaign/campaign_a/add', { contact: 'contact_a' }, undefined],
      ['DELETE', '/~acme/Contact/contact_a', undefined, undefined],
    ])
    expect(new Set(seen.map((s) => s.headers.authorization))).toEqual(new Set(['Bearer hly_sk_1']))
  })

  it('find gives an array that goes on', async () => {
    const { url, seen } = await serve((s, res) =>
      s.url.includes('cursor=c2')
        ? json(res, 200, { results: [{ $id: 'c' }], total: 3, hasMore: false })
        : json(res, 200, { results: [{ $id: 'a' }, { $id: 'b' }], total: 3, hasMore: true, cursor: 'c2' }),
    )
    const $ = Headlessly({ url, apiKey: 'hly_sk_1' })
    const page = await $.Contact.find({ stage: { $in: ['Lead'] } }, { sort: '-$createdAt', limit: 2 })
    expect([page.length, page.total, page.hasMore, page.map((c) => c.$id)]).toEqual([2, 3, true, ['a', 'b']])
    const all = []
    for await (const contact of page.all()) all.push(contact.$id)
    expect(all).toEqual(['a', 'b', 'c'])
    const asked = new URL('http://x' + seen[0]?.url).searchParams
    expect([asked.get('filter'), asked.get('sort'), asked.get('limit')]).toEqual([
      '{"stage":{"$in":["Lead"]}}',
      '-$createdAt',
      '2',
    ])
  })

  it('a refusal is an error with code, field and hint', async () => {
    const { url } = await serve((_, res) =>
      json(res, 400, {
        error: 'validation_failed',
        message: 'stage: no such stage',
        type: 'Contact',
        field: 'stage',
        details: [{ field: 'stage', message: 'no' }],
      }),
    )
    const error = await Headlessly({ url, apiKey: 'hly_sk_1' })
      .Contact.create({ stage: 'Lead' })
      .catch((e: unknown) => e)
    expect(error).toBeInstanceOf(HeadlesslyError)
    expect(error).toMatchObject({
      code: 'validation_failed',
      status: 400,
      field: 'stage',
      type: 'Contact',
      message: 'stage: no such stage',
    })
    expect((error as HeadlesslyError).details).toHaveLength(1)
  })

  it('waits when it is told to, and tries a change again only where nothing was done', async () => {
    let n = 0
    const { url, seen } = await serve((_, res) =>
      ++n === 1
        ? json(res, 429, { error: 'rate_limited', message: 'slow down' }, { 'Retry-After': '0' })
        : n === 2
          ? json(res, 201, { $id: 'x' })
          : json(res, 503, { error: 'unavailable', message: 'no' }),
    )
    const $ = Headlessly({ url, apiKey: 'hly_sk_1' })
    expect(await $.Contact.create({ name: 'Ada' })).toEqual({ $id: 'x' })
    await expect($.Contact.create({ name: 'Ada' })).rejects.toMatchObject({ code: 'unavailable' })
    expect(seen).toHaveLength(3)
  })

  it('says what is missing before it makes a call', async () => {
    const before = process.env['HEADLESSLY_API_KEY']
    delete process.env['HEADLESSLY_API_KEY']
    try {
      await expect(async () => Headlessly({ url: 'http://x' }).Contact.find()).rejects.toMatchObject({
        code: 'config',
        field: 'apiKey',
      })
    } finally {
      if (before !== undefined) process.env['HEADLESSLY_API_KEY'] = before
    }
    await expect(async () => Headlessly({ apiKey: 'hly_pk_1' }).Contact.find()).rejects.toMatchObject({
      code: 'config',
      field: 'apiKey',
    })
    await expect(async () =>
      Headlessly({ apiKey: 'hly_sk_1', url: 'nowhere' }).Contact.find(),
    ).rejects.toMatchObject({ code: 'config', field: 'url' })
    await expect(
      Headlessly({ apiKey: 'hly_sk_1', url: 'http://127.0.0.1:1', retries: 0 }).Contact.find(),
    ).rejects.toMatchObject({ code: 'unreachable' })
  })

  it('a history is whole, however many answers it takes, and events say whether there are more', async () => {
    const total = 2500
    const { url, seen } = await serve((s, res) => {
      const q = new URL(s.url, 'http://x').searchParams
      const after = Number(q.get('after') ?? 0)
      const most = Math.min(total, after + Number(q.get('limit') ?? 25))
      const results = Array.from({ length: most - after }, (_, i) => ({ seq: after + i + 1 }))
      const more = most < total
      json(res, 200, { results, hasMore: more, ...(more ? { next: { after: most } } : {}) })
    })
    const $ = Headlessly({ url, tenant: 'acme', apiKey: 'hly_sk_1' })
    const all = await $.Deal.history('deal_a')
    expect(all.map((e) => e.seq)).toEqual(Array.from({ length: total }, (_, i) => i + 1))
    expect(seen).toHaveLength(3)
    expect(await $.Deal.history('deal_a', { limit: 1200 })).toHaveLength(1200)
    const some = await $.events.find({ after: 0 })
    expect([some.length, some.hasMore]).toEqual([25, true])
    const rest = await $.events.find({ after: total - 3 })
    expect([rest.length, rest.hasMore]).toEqual([3, false])
  })

  it('a stream goes on where it broke, and misses nothing', async () => {
    let n = 0
    const { url, seen } = await serve((_, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' })
      const event = (seq: number) => `id: ${seq}\ndata: {"seq":${seq},"type":"Deal.Closed"}\n\n`
      if (++n === 1) res.end(event(4) + event(5) + 'id: 6\ndata: {"se')
      else res.write(event(6) + ': keep alive\n\n' + event(7))
    })
    const stop = new AbortController()
    const got: number[] = []
    for await (const e of Headlessly({ url, apiKey: 'hly_sk_1' }).events.stream({
      after: 3,
      type: 'Deal.*',
      signal: stop.signal,
    })) {
      got.push(e.seq)
      if (e.seq === 7) break
    }
    stop.abort()
    expect(got).toEqual([4, 5, 6, 7])
    expect(seen.map((s) => s.headers['last-event-id'])).toEqual(['3', '5'])
    server?.closeAllConnections()
  })
})

describe('a call that a hook leaves alone', () => {
  it('counts as taken when it is awaited, and its failure is nobody else’s', async () => {
    const alone = floating(Promise.reject(new Error('no')))
    expect(alone.taken()).toBe(false)
    await expect(alone.result).rejects.toThrow('no')
    const awaited = floating(Promise.resolve(7))
    expect(await awaited.promise).toBe(7)
    expect(awaited.taken()).toBe(true)
  })
})

describe('verifyWebhook', () => {
  const now = () => 1_700_000_000_000
  const body = '{"event":"Deal.Closed"}'
  const sign = (secret: Buffer, time = 1_700_000_000) => ({
    'webhook-id': 'evt_1',
    'webhook-timestamp': String(time),
    'webhook-signature':
      'v1,AAAA v1,' + createHmac('sha256', secret).update(`evt_1.${time}.${body}`).digest('base64'),
  })
  const secret = 'whsec_' + Buffer.from('a secret of some length').toString('base64')

  it.each([
    ['takes one of two signatures', sign(Buffer.from('a secret of some length')), secret, body, null],
    ['takes a plain secret', sign(Buffer.from('plain')), 'plain', body, null],
    ['refuses another secret', sign(Buffer.from('another')), secret, body, /no signature fits/],
    ['refuses another body', sign(Buffer.from('plain')), 'plain', body + ' ', /no signature fits/],
    ['refuses an old delivery', sign(Buffer.from('plain'), 1_699_999_000), 'plain', body, /too old/],
    ['refuses one from the future', sign(Buffer.from('plain'), 1_700_001_000), 'plain', body, /too new/],
    ['refuses one without a signature', {}, 'plain', body, /not a signed delivery/],
  ])('%s', async (_, headers, key, text, refusal) => {
    const verified = verifyWebhook(text, headers, key, { now })
    if (refusal) await expect(verified).rejects.toThrow(refusal)
    else expect(await verified).toEqual({ event: 'Deal.Closed' })
  })
})
