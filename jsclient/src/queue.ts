import { bytes, quote } from './encode'
import { uuid7 } from './ids'
import { memoryStore, type Store } from './store'

/** A batch stays below the 64 KiB that a browser grants to requests that outlive their page. */
const MAX_BATCH = 60000
/** Characters kept on disk: 256 KiB as browsers count, never the page's whole quota. */
const MAX_STORED = 131072
const MAX_WAIT = 18e5
const DAY = 864e5
/** How long a batch that was handed to the browser on leaving may still be under way. */
const UNDER_WAY = 1e4

/** What the queue needs from its surroundings. */
export interface QueueOptions {
  _tenant: string
  _url: string
  _interval: number
  _store: Store
  /** The members that every batch carries, as JSON text: `"context":{…}`. */
  _context(): string
  _clock(): number
  _report(name: 'ack' | 'drop', ids: string[], reason?: string): void
}

interface Batch {
  _key: string
  _ids: string[]
  _body: string
  /** When it was stored, and whether the browser was sending it then. */
  _time?: number
  _handed?: boolean
}

export interface Queue {
  _add(id: string, json: string): void
  /** Whether events wait to become a batch. */
  _busy(): boolean
  /** Send what waits. Leaving: by means that outlive the page, and keep what has no answer yet. */
  _flush(leaving?: boolean): Promise<unknown>
  /** Send what is stored, if nobody else does and the gateway did not ask to wait. */
  _drain(): void
  _resume(): void
  _use(store: Store): void
  _discard(): void
}

/**
 * Events wait in memory until they are a batch. A batch is in memory of one
 * page while it is sent; when that fails, or the page goes away before the
 * answer, it is stored, and from then on belongs to whichever page holds the
 * lock. The last batch of a page is always in doubt (nobody is there to hear the
 * answer), so a later page sends it again; ids make it count once.
 */
export const createQueue = (o: QueueOptions): Queue => {
  const send_ = typeof fetch === 'function' ? fetch : undefined
  const spare = memoryStore()
  const prefix = 'hly_q_' + o._tenant + '_'
  const pauseKey = 'hly_b_' + o._tenant
  const inflight = new Map<string, Batch>()
  let ids: string[] = []
  let events = ''
  let size = 0
  let carried = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let drainTimer: ReturnType<typeof setTimeout> | undefined
  let release: (() => void) | undefined

  const put = (key: string, text: string): void => {
    o._store._set(key, text)
    if (o._store._get(key) !== text) spare._set(key, text)
  }
  const get = (key: string): string => o._store._get(key) || spare._get(key) || ''

  /** Shared by all pages: failures in a row, and when to try again. */
  const pause = (): [number, number] => {
    const [count = 0, until = 0] = get(pauseKey).split(',').map(Number)
    return until - Date.now() < DAY ? [count, until] : [0, 0]
  }

  const keys = (): string[] => o._store._keys(prefix).concat(spare._keys(prefix))

  const load = (key: string): Batch | undefined => {
    const parts = get(key).split('\n')
    if (parts.length !== 3) return
    const [time, handed] = (parts[0] as string).split(',').map(Number)
    return {
      _key: key,
      _ids: (parts[1] as string).split(','),
      _body: parts[2] as string,
      _time: time,
      _handed: !!handed,
    }
  }

  const remove = (key: string): void => {
    o._store._remove(key)
    spare._remove(key)
  }

  const keep = (batch: Batch, handed?: boolean): void => {
    put(batch._key, [batch._time || Date.now(), +!!handed] + '\n' + batch._ids + '\n' + batch._body)
    let total = 0
    for (const key of keys().reverse()) {
      total += get(key).length
      if (total > MAX_STORED) {
        o._report('drop', load(key)?._ids || [], 'full')
        remove(key)
      }
    }
  }

  const accepted = (batch: Batch, answer: { rejected?: { index: number; error: string }[] }): void => {
    if (get(pauseKey)) put(pauseKey, '')
    const refused = new Map((answer.rejected || []).map((r) => [r.index, r.error]))
    o._report(
      'ack',
      batch._ids.filter((_, i) => !refused.has(i)),
    )
    for (const [i, reason] of refused) o._report('drop', [batch._ids[i] as string], reason)
    if (keys()[0]) schedule(0)
  }

  const failed = (batch: Batch, after?: string | null): void => {
    const now = Date.now()
    const [count, until] = pause()
    if (now >= until || after) {
      const jittered = Math.min(2 ** count * 1000, MAX_WAIT) * (0.5 + Math.random() / 2)
      const asked = after ? +after * 1000 || Date.parse(after) - now || 0 : 0
      put(pauseKey, [count + 1, now + Math.max(jittered, Math.min(asked, DAY - 1))] + '')
    }
    keep(batch)
    schedule(pause()[1] - now)
  }

  /** True once the gateway has answered for good. */
  const send = async (batch: Batch, sentAt: number, leaving?: boolean): Promise<boolean> => {
    const body = '{"tenant":' + quote(o._tenant, 99) + ',"sentAt":' + sentAt + ',' + batch._body
    const length = bytes(body)
    inflight.set(batch._key, batch)
    carried += length
    try {
      if (leaving && !('keepalive' in Request.prototype)) throw 0
      const response = await (send_ as typeof fetch)(o._url, {
        method: 'POST',
        body,
        keepalive: leaving || carried < MAX_BATCH,
        credentials: 'omit',
        signal: AbortSignal.timeout?.(3e4),
      })
      const status = response.status
      inflight.delete(batch._key)
      if (status === 408 || status === 429 || status > 499) {
        failed(batch, response.headers.get('Retry-After'))
        return false
      }
      remove(batch._key)
      if (response.ok) accepted(batch, await response.json().catch(() => ({})))
      else o._report('drop', batch._ids, 'status ' + status)
      return true
    } catch {
      inflight.delete(batch._key)
      if (leaving && navigator.sendBeacon?.(o._url, body)) keep(batch, true)
      else failed(batch)
      return false
    } finally {
      carried -= length
    }
  }

  const cut = (leaving?: boolean): Promise<unknown> | undefined => {
    clearTimeout(timer)
    timer = undefined
    if (!events) return
    const batch: Batch = {
      _key: prefix + uuid7(Date.now()),
      _ids: ids,
      _body: o._context() + ',"events":[' + events + ']}',
    }
    ids = []
    events = ''
    size = 0
    if (Date.now() >= pause()[1]) return send(batch, o._clock(), leaving)
    keep(batch)
    schedule(pause()[1] - Date.now())
    return
  }

  const schedule = (ms: number): void => {
    clearTimeout(drainTimer)
    drainTimer = setTimeout(drain, Math.max(ms, 50))
  }

  const drain = (): void => {
    const until = pause()[1]
    const now = Date.now()
    if (!keys()[0]) return
    if (now < until) {
      schedule(until - now)
      return
    }
    let released: boolean | undefined
    const work = async (): Promise<void> => {
      let later = 0
      for (const key of keys()) {
        const batch = load(key)
        if (released || Date.now() < pause()[1]) return
        if (!batch) {
          if (!inflight.has(key)) remove(key)
          continue
        }
        const age = Math.abs(now - (batch._time as number))
        if (inflight.has(key) || (batch._handed && age < UNDER_WAY)) later = UNDER_WAY
        else if (age > (batch._handed ? DAY * 0.8 : DAY * 7)) {
          remove(key)
          o._report('drop', batch._ids, 'expired')
        } else if (!(await send(batch, Date.now()))) return
      }
      if (later) schedule(later)
    }
    const locks = typeof navigator === 'object' && navigator.locks
    if (!locks) return void work()
    locks
      .request('hly_' + o._tenant, { ifAvailable: true }, (lock) =>
        lock
          ? Promise.race([
              work(),
              new Promise<void>((resolve) => {
                release = () => {
                  released = true
                  resolve()
                }
              }),
            ])
          : schedule(UNDER_WAY),
      )
      .catch(() => {})
  }

  return {
    _add(id, json) {
      const length = bytes(json)
      if (size + length > MAX_BATCH - 2000) cut()
      ids[ids.length] = id
      events += (events && ',') + json
      size += length
      timer = timer || setTimeout(cut, o._interval)
    },
    _busy: () => !!events,
    _flush(leaving) {
      const sent = cut(leaving)
      if (leaving) {
        release?.()
        for (const batch of inflight.values()) keep(batch, true)
      } else if (!sent) drain()
      return Promise.resolve(sent)
    },
    _drain: drain,
    _resume() {
      put(pauseKey, '')
      drain()
    },
    _use(store) {
      o._store = store
    },
    _discard() {
      clearTimeout(timer)
      timer = undefined
      ids = []
      events = ''
      size = 0
      for (const key of keys()) remove(key)
    },
  }
}
