import { guard, keyOf } from './core'
import { encode, parse } from './encode'
import { timeZone, uuid7 } from './ids'
import { get, persist, set } from './store'
import type { Properties } from './types'

const enum Limit {
  /** A session ends after this long without an event. */
  Idle = 18e5,
  /** How old the stored time of the last event may be before it is written anew. */
  Touch = 5000,
}

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
  /** first and last touch, and what the session came from */ f?: Touch
  l?: Touch
  c?: Touch
  /** time zone, asked for once a session */ z?: string
}

let visitor: Visitor = {}
let text = ''
let saved = 0
/** The campaign that this page came by, once it is noted: other tabs have theirs. */
let noted: string | undefined

/** The visitor as of now, read again because another tab may have changed it. */
export const current = (): Visitor => {
  const stored = get(keyOf(''))
  if (stored !== text) {
    text = stored
    visitor = Object(guard(parse)(stored))
  }
  visitor.a ||= uuid7()
  return visitor
}

export const change = (changes: Visitor): void => {
  Object.assign(current(), changes)
  saved = visitor.t || 0
  text = encode(visitor)
  set(keyOf(''), text)
}

/** Inside a site the referrer, the last member, changes, and the campaign in the address does not. */
const nameOf = (campaign?: Touch): string => encode(campaign).split('"ref')[0] as string

/** Note an event at this time; says whether a session began. */
export const touch = (now: number, campaign?: Touch): boolean => {
  const { s, n = 0, t = 0, f, l } = current()
  const is = nameOf(campaign)
  const other = is && is !== noted && is !== nameOf(l)
  noted = is || noted
  const began = !s || other || Math.abs(now - t) > Limit.Idle
  visitor.t = now
  if (other) change({ l: campaign, f: f || campaign })
  if (began) {
    change({ s: uuid7(now), n: n + 1, c: campaign, z: timeZone() })
  } else if (Math.abs(now - saved) > Limit.Touch) change({})
  return began
}

/** Forget the visitor. */
export const forget = (): void => set(keyOf(''), '')

/** Start to keep it in the browser: ids known there win, what was said meanwhile is added. */
export const adopt = (): void => {
  const { u, g, p } = visitor
  forget()
  text = ''
  persist(true)
  const kept = current()
  change({ u: u || kept.u, g: g || kept.g, p: { ...kept.p, ...p } })
}
