import { config, guard, hurry, on, report } from './core'
import { encode, parse } from './encode'
import { discard, drain } from './queue'
import { persist } from './store'
import type { ConsentChoice } from './types'
import { adopt, forget } from './visitor'

const enum Limit {
  /** Events held while consent is waited for. */
  Held = 200,
  /** Events held until the page is idle. */
  Busy = 50,
}

let choice: ConsentChoice | undefined
/** granted: capture. denied: capture nothing. wait: hold in memory until told. */
let mode = 'wait'
let held: (() => void)[] = []

const choiceKey = (): string => 'hly_c_' + config.tenant

/** Does it now, later, or never. */
export const whenGranted = (fn: () => void): void => {
  // A busy page need not be idle before it has this many: what follows the start waits for nothing.
  if (held[Limit.Busy]) hurry()
  if (mode === 'granted') fn()
  if (mode !== 'wait') return
  if (held[Limit.Held]) report('drop', [], 'full')
  else held.push(guard(fn))
}

/** Follow a choice: where things are kept, and what becomes of what waits. The category analytics decides. */
const follow = (next: ConsentChoice | undefined): void => {
  const waiting = held
  choice = next
  const decides = (typeof next === 'string' ? next : next?.analytics) ?? true
  mode = decides === true ? 'granted' : decides || 'denied'
  if (mode === 'wait') return
  held = []
  if (mode === 'granted') {
    if (!on(config.cookieless)) adopt()
    for (const fn of waiting) fn()
    drain()
  } else {
    // Memory first: nothing of it may reach the disk, not even for a moment.
    for (const disk of [false, true, false]) {
      persist(disk)
      discard()
      forget()
    }
  }
}

/**
 * Start with what the visitor chose here before; else what the browser says for
 * them by Global Privacy Control or Do Not Track; else what the page says.
 */
export const start = (): void => {
  const { globalPrivacyControl: gpc, doNotTrack: dnt } = navigator as Navigator & {
    globalPrivacyControl?: boolean
  }
  const kept = guard(() => localStorage.getItem(choiceKey()))()
  follow(kept ? parse(kept) : gpc || dnt === '1' ? 'denied' : config.consent)
}

/** Capture nothing any more; what waits is still sent. */
export const stop = (): void => {
  mode = 'denied'
}

/** Keep and follow the visitor's choice. */
export const choose = (given: ConsentChoice): void => {
  hurry()
  guard(() => localStorage.setItem(choiceKey(), encode(given)))()
  follow(given)
}

/** The choice with Google consent mode's signals: the commands that the page gave to gtag. */
export const consent = (): ConsentChoice | undefined => {
  let all: object | undefined
  for (const command of Object((window as { dataLayer?: ArrayLike<unknown>[] }).dataLayer || [])) {
    if (command?.[0] === 'consent') all = { ...all, ...Object(command[2]) }
  }
  const own = typeof choice === 'string' ? { analytics: choice } : choice
  return all ? ({ ...all, ...own } as ConsentChoice) : choice
}
