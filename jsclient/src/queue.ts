import { context } from './context'
import { config, guard, hurry, keyOf, report } from './core'
import { bytes, encode, parse } from './encode'
import { uuid7 } from './ids'
import { get, keysOf, set } from './store'

// Events wait in memory until they are a batch. A batch is stored before it is
// sent, marked as under way, and removed when the gateway has answered: so it
// survives the page. One that failed, or whose page went away before the
// answer, belongs to whichever page holds the lock. The last batch of a page is
// always in doubt (nobody is there to hear the answer), so a later page sends it
// again; ids make it count once.

const enum Limit {
  /** A batch stays below the 64 KiB that a browser grants to requests that outlive their page. */
  Batch = 58000,
  /** A page that stays leaves the other half of that grant, which all tabs share, to those that go. */
  Grant = 32000,
  /** Below this compression does not pay. */
  Plain = 2000,
  /** Bytes of an event in an address, where each takes up to three: the gateway reads request lines up to 8 KiB. */
  Address = 1800,
  /** Characters kept on disk: 256 KiB as browsers count, never the page's whole quota. */
  Stored = 13e4,
  Wait = 18e5,
  /** The longest pause that is believed. */
  Day = 8e7,
  /** How old a batch may be: while in doubt, less than ids are known for; else. */
  Doubt = 7e7,
  Week = 6e8,
  /** How long a batch that somebody else sends may take to arrive. */
  UnderWay = 15e3,
}

/** Message ids, and the body without its first members. */
type Batch = [ids: string, body: string]

const request = fetch
const mine = new Set<string>()
let ids = ''
let events = ''
let size = 0
let skew = 0
let timer: ReturnType<typeof setTimeout> | 0
let drainTimer: ReturnType<typeof setTimeout>
/** Settled when every request so far has its answer. */
let answered: Promise<unknown> | undefined

const prefix = (): string => keyOf('q_') + '_'

const keys = (): string[] => keysOf(prefix())

/** Milliseconds since 1970: steady within a batch, even when the device's clock is set meanwhile. */
const clock = (): number => Math.floor(skew + performance.now())
export const now = (): number => {
  if (!events) skew = Date.now() - performance.now()
  return clock()
}

/** Shared by all pages: failures in a row, and how long to wait. */
const pause = (): [number, number] => {
  const [count, until] = get(keyOf('b_')).split(',')
  const wait = (until as never) - Date.now() || -1e15
  return wait < Limit.Day ? [+(count as string), wait] : [0, -wait]
}

const later = (ms: number): void => {
  clearTimeout(drainTimer)
  drainTimer = setTimeout(guard(drain), ms)
}

const giveUp = (key: string, batch: string, reason: string): void => {
  set(key, '')
  if (batch) report('drop', batch.split(','), reason)
}

/** Stores a batch with the time, which is negative while it is under way; returns how much is, of all tabs. */
const put = (key: string, batch: Batch, sign = 1): number => {
  set(key, sign * Date.now() + '\n' + batch.join('\n'))
  let total = 0
  let underWay = 0
  for (const old of keys().reverse()) {
    const text = get(old)
    total += text.length
    if (total > Limit.Stored) giveUp(old, text.split('\n')[1] as string, 'full')
    else if (text < '0') underWay += bytes(text)
  }
  return underWay
}

/** Sends events one by one in the addresses of images, the large ones trimmed: where requests are blocked these may pass. */
const draw = async (url: string, text: string): Promise<void> => {
  const at = text.indexOf('"events":[') + 10
  for (const event of parse(text.slice(at - 1, -1))) {
    const image = new Image()
    image.src = url + encodeURIComponent(text.slice(0, at) + encode(event, Limit.Address) + ']}')
    await image.decode()
  }
}

/** True once the gateway has answered for good. */
const send = async (key: string, batch: Batch, sentAt: number, leaving?: boolean): Promise<unknown> => {
  const { tenant, endpoint, key: publicKey = '' } = config
  const query = '?t=' + tenant + '&key=' + publicKey
  const url = endpoint + '/e' + query
  const text = '{"sentAt":' + sentAt + ',' + batch[1]
  const all = batch[0].split(',')
  let body: string | Blob = text
  let asked = 0
  let final: boolean
  let refused = ''
  const began = Date.now()
  try {
    mine.add(key)
    const underWay = put(key, batch, -1)
    if (!leaving && text.length > Limit.Plain && window.CompressionStream) {
      body = await new Response(new Response(text).body?.pipeThrough(new CompressionStream('gzip'))).blob()
    }
    const response = await request(url, {
      method: 'POST',
      body,
      keepalive: leaving || underWay < Limit.Grant,
      credentials: 'omit',
      signal: AbortSignal.timeout?.(3e4),
    })
    const { status, ok, headers } = response
    final = !/5..|408|429/.test(status as never)
    asked = 1000 * (headers.get('Retry-After') as never) || 0
    if (!ok) refused = 'status ' + status
    else {
      const answer = await response.json().catch(() => {})
      for (const { index, error } of answer?.rejected || []) {
        report('drop', [all[index]], error)
        all[index] = ''
      }
    }
  } catch {
    if (leaving && navigator.sendBeacon?.(url, text)) return
    final = await draw(endpoint + '/e.gif' + query + '&d=', text).then(
      () => true,
      () => false,
    )
  } finally {
    mine.delete(key)
    later(50)
  }
  if (final) {
    set(key, '')
    if (!refused) set(keyOf('b_'), '')
    report(
      refused ? 'drop' : 'ack',
      all.filter((id) => id),
      refused,
    )
    return true
  }
  const [count, wait] = pause()
  // Requests that were under way together fail together: that is one failure.
  if (asked || (began >= Date.now() + wait && !leaving)) {
    const backoff = Math.min(2 ** count * 2000, Limit.Wait) * (0.5 + Math.random() / 2)
    set(keyOf('b_'), count + 1 + ',' + (Date.now() + Math.max(backoff, Math.min(asked, Limit.Doubt))))
  }
  // Meanwhile it may have been given up: for want of room, or because the visitor said so.
  if (get(key)) put(key, batch)
  return
}

const cut = (leaving?: boolean): void => {
  clearTimeout(timer as number)
  timer = 0
  if (!events) return
  const key = prefix() + uuid7()
  const batch: Batch = [ids, '"context":' + (guard(context)() || '{}') + ',"events":[' + events + ']}']
  ids = events = ''
  size = 0
  if (pause()[1] <= 0) {
    const before = answered
    // Not even a rejection may reach the page.
    answered = send(key, batch, clock(), leaving)
      .catch(() => {})
      .then(() => before)
  } else {
    put(key, batch)
    later(50)
  }
}

const work = async (): Promise<void> => {
  for (const key of keys()) {
    const [time, batch, body] = get(key).split('\n') as [string, string, string]
    const age = Date.now() - Math.abs(+time)
    const underWay = +time < 0
    if (pause()[1] > 0) return
    if (!body || age > (underWay ? Limit.Doubt : Limit.Week)) giveUp(key, batch, 'expired')
    else if (mine.has(key) || (underWay && Math.abs(age) < Limit.UnderWay)) later(Limit.UnderWay)
    else if (!(await send(key, [batch, body], Date.now()))) return
  }
}

/**
 * Send what is stored, if nobody else does and the gateway did not ask to wait; at once: do not wait any longer, unless it
 * asked: that ends on a whole millisecond, and a pause of our own does not.
 */
export const drain = (atOnce?: boolean): void => {
  if (atOnce && pause()[1] % 1) set(keyOf('b_'), '')
  const wait = pause()[1]
  if (!keys()[0]) return
  if (wait > 0) later(wait)
  // Where there are no locks, or a frame may not have any, it is alone, or ids make it count once.
  else
    (
      navigator.locks?.request(keyOf(''), { ifAvailable: 1 as never }, (lock) =>
        lock ? work() : later(Limit.UnderWay),
      ) || work()
    )
      .catch(work)
      .catch(() => {})
}

export const add = (id: string, json: string): void => {
  const length = bytes(json)
  if (size + length > Limit.Batch) cut()
  ids += (ids && ',') + id
  events += (events && ',') + json
  size += length
  timer ||= setTimeout(guard(cut), +(config.flushInterval ?? 1000))
}

/** Send what waits; leaving: by means that outlive the page. */
export const flush = async (leaving?: boolean): Promise<void> => {
  try {
    hurry()
    cut(leaving)
    if (!leaving) drain()
    await answered
  } catch {}
}

export const discard = (): void => {
  ids = events = ''
  for (const key of keys()) set(key, '')
}
