import { spawn } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Headlessly } from '../../src/node'

type Event = Record<string, unknown> & { messageId: string; event?: string }
type Reply = { status: number; headers?: Record<string, string>; body?: string } | 'cut' | 'never' | undefined

let server: Server
let endpoint: string
let arrived: Event[][]
let headers: Record<string, unknown>[]
let contexts: unknown[]
let reply: (batch: Event[]) => Reply

beforeEach(async () => {
  arrived = []
  headers = []
  contexts = []
  reply = () => undefined
  server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk) => {
      text += chunk
    })
    request.on('end', () => {
      const { events, context } = JSON.parse(text)
      const batch = events as Event[]
      contexts.push(context)
      const answer = reply(batch)
      if (answer === 'cut') return request.socket.destroy()
      if (answer === 'never') return
      if (!answer) arrived.push(batch)
      headers.push(request.headers)
      response.writeHead(answer?.status ?? 202, answer?.headers)
      response.end(answer?.body ?? JSON.stringify({ accepted: batch.length, rejected: [] }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  endpoint = 'http://127.0.0.1:' + (server.address() as AddressInfo).port
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

const client = (more = {}) => new Headlessly({ tenant: 'acme', endpoint, handleSignals: false, ...more })
const events = () => arrived.flat()

describe('the server client', () => {
  it('batches calls and says whom they are about', async () => {
    const hly = client({ key: 'hly_pk_x', release: 'api@1' })
    const acked: string[] = []
    hly.on('ack', (ids) => acked.push(...ids))
    hly.register({ plan: 'pro' })
    hly.track('Paid', { total: 5 }, { userId: 'u1', sessionId: 's1' })
    hly.identify('u1', { name: 'Ann' })
    hly.group('g1', { seats: 2 }, { userId: 'u1' })
    hly.alias('u2', { previousId: 'a1' })
    hly.page('Docs')
    hly.captureMessage('low', 'warning')
    await hly.flush()
    expect(arrived.length).toBe(1)
    expect(headers[0]?.authorization).toBe('Bearer hly_pk_x')
    expect(events().map(({ type }) => type)).toEqual([
      'track',
      'identify',
      'group',
      'alias',
      'page',
      'message',
    ])
    expect(events()[0]).toMatchObject({
      event: 'Paid',
      userId: 'u1',
      sessionId: 's1',
      release: 'api@1',
      properties: { plan: 'pro', total: 5 },
    })
    expect(events()[3]).toMatchObject({ userId: 'u2', previousId: 'a1' })
    expect(acked).toEqual(events().map(({ messageId }) => messageId))
  })

  it('reports errors with their causes and parsed frames', async () => {
    const hly = client()
    hly.setTag('area', 'billing')
    hly.captureException(new Error('outer', { cause: new RangeError('inner') }), { tags: { step: 'pay' } })
    await hly.flush()
    const [error] = events() as unknown as {
      exception: { type: string; stacktrace: object[] }[]
      tags: object
    }[]
    expect(error?.exception.map(({ type }) => type)).toEqual(['Error', 'RangeError'])
    expect(error?.exception[0]?.stacktrace.length).toBeGreaterThan(0)
    expect(error?.tags).toEqual({ area: 'billing', step: 'pay' })
  })

  const faults: [string, Reply][] = [
    ['503', { status: 503 }],
    ['429', { status: 429 }],
    ['a lost connection', 'cut'],
  ]
  for (const [name, fault] of faults) {
    it('repeats after ' + name + ' under the same ids', async () => {
      const seen: string[][] = []
      reply = (batch) => {
        seen.push(batch.map(({ messageId }) => messageId))
        return seen.length === 1 ? fault : undefined
      }
      const hly = client()
      hly.track('One')
      hly.track('Two')
      await hly.flush()
      expect(seen.length).toBe(2)
      expect(seen[1]).toEqual(seen[0])
      expect(events().length).toBe(2)
    })
  }

  it('waits as long as Retry-After asks', async () => {
    const times: number[] = []
    reply = () =>
      times.push(Date.now()) === 1 ? { status: 503, headers: { 'Retry-After': '1' } } : undefined
    const hly = client()
    hly.track('One')
    await hly.flush()
    expect((times[1] as number) - (times[0] as number)).toBeGreaterThanOrEqual(990)
  })

  it('gives up what is refused for good, and says so', async () => {
    reply = () => ({ status: 403 })
    const dropped: string[] = []
    const hly = client()
    hly.on('drop', (ids, reason) => dropped.push(ids.length + ' ' + reason))
    hly.track('One')
    await hly.flush()
    expect(dropped).toEqual(['1 status 403'])
  })

  it('tells a refused event from its accepted neighbours', async () => {
    reply = () => ({ status: 202, body: '{"accepted":1,"rejected":[{"index":0,"error":"too_large"}]}' })
    const told: [string, number][] = []
    const hly = client()
    hly.on('ack', (ids) => told.push(['ack', ids.length]))
    hly.on('drop', (ids, reason) => told.push([String(reason), ids.length]))
    hly.track('One')
    hly.track('Two')
    await hly.flush()
    expect(told).toEqual([
      ['too_large', 1],
      ['ack', 1],
    ])
  })

  it('shutdown delivers what waits and takes no more', async () => {
    const hly = client({ flushInterval: 60000 })
    hly.track('Before')
    await hly.shutdown()
    hly.track('After')
    await hly.flush()
    expect(events().map(({ event }) => event)).toEqual(['Before'])
  })

  it('shutdown ends in time when the gateway is away, and says what is lost', async () => {
    reply = () => 'cut'
    const dropped: string[] = []
    const hly = client()
    hly.on('drop', (ids, reason) => dropped.push(ids.length + ' ' + reason))
    hly.track('One')
    await hly.shutdown(300)
    expect(dropped).toEqual(['1 shutdown'])
  })

  it('shutdown tells what is under way as lost, too, and tries it no more', async () => {
    let tries = 0
    reply = () => {
      tries++
      return 'never'
    }
    const told: string[] = []
    const hly = client()
    hly.on('drop', (ids, reason) => told.push(ids.length + ' ' + reason))
    hly.on('ack', (ids) => told.push(ids.length + ' acked'))
    hly.track('Under way')
    const flushed = hly.flush()
    while (!tries) await new Promise((resolve) => setTimeout(resolve, 10))
    hly.track('Waiting')
    await hly.shutdown(100)
    await flushed
    expect(told).toEqual(['2 shutdown'])
    expect(tries).toBe(1)
  })

  it('an event without an id, or one that beforeSend takes away, gets one that stays', async () => {
    const seen: unknown[][] = []
    reply = (batch) => {
      seen.push(batch.map(({ messageId, ts }) => [typeof messageId, typeof ts, messageId]))
      return seen.length === 1 ? { status: 503 } : undefined
    }
    const hly = client({
      beforeSend: ({ messageId, ...rest }: Record<string, unknown>) =>
        rest['event'] === 'Bare' ? rest : { messageId, ...rest },
    })
    hly.track('One', {}, { messageId: undefined, ts: undefined } as never)
    hly.track('Bare')
    await hly.flush()
    expect(seen.length).toBe(2)
    expect(seen[1]).toEqual(seen[0])
    for (const [id, ts] of seen[0] as [string, string][]) expect([id, ts]).toEqual(['string', 'number'])
  })

  it('never throws into the caller', async () => {
    const hly = client({
      beforeSend: () => {
        throw new Error('hostile')
      },
    })
    expect(() =>
      hly.track('One', {
        get bad() {
          throw new Error('no')
        },
      }),
    ).not.toThrow()
    await hly.flush()
    expect(events()).toEqual([])
  })
})

it('timers, breadcrumbs, user, and reset', async () => {
  const client = new Headlessly({ tenant: 'acme', endpoint, handleSignals: false })
  const seen: unknown[] = []
  client.on('event', (event) => seen.push(event.event ?? event.type))
  client.timeEvent('Import')
  client.track('Import')
  client.track('Import')
  client.addBreadcrumb({ category: 'job', message: 'began' })
  client.setUser({ id: 'user-7' })
  client.captureException(new Error('failed'))
  client.reset()
  client.captureMessage('after')
  await client.shutdown()
  const [first, second, error, message] = arrived.flat()
  expect(first?.properties).toEqual({ durationMs: expect.any(Number) })
  expect(second?.properties).toEqual({})
  expect(error?.breadcrumbs).toEqual([{ category: 'job', message: 'began', timestamp: expect.any(Number) }])
  expect(error?.user).toEqual({ id: 'user-7' })
  expect(message?.user).toBeUndefined()
  expect(seen).toEqual(['Import', 'Import', 'error', 'message'])
})

it('nothing is taken while consent is refused, and what was agreed to is said', async () => {
  const client = new Headlessly({ tenant: 'acme', endpoint, handleSignals: false })
  client.consent('denied')
  client.track('Refused')
  client.consent({ analytics: true, marketing: false })
  client.track('Agreed')
  client.optOut()
  client.track('Out')
  client.optIn()
  client.track('In')
  await client.shutdown()
  expect(arrived.flat().map(({ event }) => event)).toEqual(['Agreed', 'In'])
  expect(contexts.at(-1)).toMatchObject({ consent: { analytics: true, marketing: false } })
})

describe('the end of a process', () => {
  /** Runs code beside a client of the built module; resolves with how the process ended. */
  const run = (code: string, signal?: NodeJS.Signals): Promise<[number | null, string | null, string]> =>
    new Promise((resolve) => {
      const file = new URL('../../packages/node/dist/index.js', import.meta.url).href
      const script = `import { Headlessly } from ${JSON.stringify(file)}
        const client = (tenant = 'acme') => new Headlessly({ tenant, endpoint: ${JSON.stringify(endpoint)}, flushInterval: 60000 })
        ${code}`
      const child = spawn(process.execPath, ['--input-type=module', '-e', script])
      let said = ''
      child.stderr.on('data', (text) => {
        said += text
      })
      child.stdout.on('data', (text) => {
        said += text
        if (signal && String(text).includes('ready')) child.kill(signal)
      })
      child.on('close', (status, by) => resolve([status, by, said]))
    })

  it('delivers what waits when there is nothing else to do', async () => {
    expect(await run(`client().track('Last')`)).toEqual([0, null, ''])
    expect(events().map(({ event }) => event)).toEqual(['Last'])
  })

  it('delivers what waits before a signal ends it, for every client', async () => {
    reply = () => undefined
    const end = await run(
      `client().track('One'); client().track('Two'); setInterval(() => {}, 1000); console.log('ready')`,
      'SIGTERM',
    )
    expect(end.slice(0, 2)).toEqual([null, 'SIGTERM'])
    expect(
      events()
        .map(({ event }) => event)
        .sort(),
    ).toEqual(['One', 'Two'])
  })

  it('leaves the end to the process’s own listener, which hears a signal once', async () => {
    const end = await run(
      `const hly = client()
       process.on('SIGTERM', () => console.log('heard'))
       hly.on('ack', () => setTimeout(() => process.exit(7), 300))
       hly.track('Kept'); setInterval(() => {}, 1000); console.log('ready')`,
      'SIGTERM',
    )
    expect(end).toEqual([7, null, 'ready\nheard\n'])
    expect(events().map(({ event }) => event)).toEqual(['Kept'])
  })
})
