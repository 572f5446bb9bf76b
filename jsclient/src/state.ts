import { uuid7 } from './ids'
import type { Store } from './store'
import type { Properties } from './types'

/** A session ends after this long without an event. */
const IDLE_MS = 18e5
/** How old the stored time of the last event may be before it is written anew. */
const TOUCH_MS = 5000

/** Where a visit came from. */
export type Touch = Record<string, string>

/** What is kept about the visitor. Short names: it is written often. */
export interface Visitor {
  /** anonymous id */ a?: string
  /** user id */ u?: string
  /** group id */ g?: string
  /** session id, its number, the time of its last event */ s?: string
  n?: number
  t?: number
  /** registered properties */ p?: Properties
  /** first and last touch */ f?: Touch
  l?: Touch
}

export interface State {
  /** The visitor as of now, read again because another tab may have changed it. */
  _read(): Visitor
  _save(visitor: Visitor): void
  /** Note an event at this time; returns the visitor, and whether a session began. */
  _touch(now: number, newCampaign?: Touch): [Visitor, boolean]
  /** Move to another store; what is known goes along. */
  _use(store: Store): void
  /** Forget everything. */
  _clear(): void
}

export const createState = (key: string, store: Store): State => {
  let visitor: Visitor = {}
  let text: string | null = ''
  let saved = 0

  const read = (): Visitor => {
    const now = store._get(key)
    if (now !== text) {
      text = now
      visitor = {}
      try {
        visitor = Object(JSON.parse(now as string))
      } catch {}
    }
    visitor.a = visitor.a || uuid7(Date.now())
    return visitor
  }
  const save = (next: Visitor): void => {
    visitor = next
    saved = next.t || 0
    try {
      text = JSON.stringify(next)
      store._set(key, text)
      text = store._get(key)
    } catch {}
  }
  return {
    _read: read,
    _save: save,
    _touch(now, campaign) {
      const v = read()
      const fresh = !v.s || Math.abs(now - (v.t || 0)) > IDLE_MS || !!campaign
      if (fresh) {
        v.s = uuid7(now)
        v.n = (v.n || 0) + 1
        if (campaign) {
          v.l = campaign
          v.f = v.f || campaign
        }
      }
      v.t = now
      if (fresh || Math.abs(now - saved) > TOUCH_MS) save(v)
      return [v, fresh]
    },
    _use(next) {
      const known = visitor
      store = next
      text = ''
      const kept = read()
      if (Object.keys(known)[0]) save({ ...kept, ...known, a: kept.a })
    },
    _clear() {
      visitor = {}
      text = null
      store._remove(key)
    },
  }
}
