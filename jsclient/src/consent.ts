import { config, guard, hurry, keyOf, listen, on, report } from './core'
import { encode, parse } from './encode'
import { discard, drain } from './queue'
import { persist } from './store'
import type { ConsentChoice, EventFields } from './types'
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

/** Does it now, later, or never; later with the fields as they are now, whatever the page makes of its objects meanwhile. */
export const whenGranted = (fn: (fields: EventFields) => void, fields: EventFields): void => {
  // A busy page need not be idle before it has this many: what follows the start waits for nothing.
  if (held[Limit.Busy]) hurry()
  if (mode === 'granted') fn(fields)
  if (mode !== 'wait') return
  if (held[Limit.Held]) report('drop', [], 'full')
  else {
    const copy = parse(encode(fields))
    held.push(guard(() => fn(copy)))
  }
}

const byCategory = (word: ConsentChoice | undefined): Record<string, unknown> | undefined =>
  typeof word === 'object' ? word : { analytics: word }

/**
 * Follow what the visitor chose; where they said nothing of the category analytics, which decides, what the browser says
 * for them by Global Privacy Control or Do Not Track; else what the page says. It settles where things are kept, and what
 * becomes of what waits.
 */
const follow = (next: ConsentChoice | undefined): void => {
  const waiting = held
  choice = next
  const decides =
    byCategory(next)?.analytics ??
    (!(navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl &&
      !+(navigator.doNotTrack as never) &&
      (config.consent ?? true))
  mode = decides === true ? 'granted' : (decides as string) || 'denied'
  if (mode === 'wait') return
  held = []
  if (mode === 'granted') {
    if (!on(config.cookieless)) adopt()
    for (const fn of waiting) fn()
    drain()
  } else {
    // Memory first: nothing of it may reach the disk, not even for a moment.
    for (const disk of [0, 1, 0]) {
      persist(disk)
      discard()
      forget()
    }
  }
}

/** Follow what the visitor chose here before. */
const decide = (): void => follow(guard(() => parse(localStorage.getItem(keyOf('c_')) as string))())

/** Decide, and again when the visitor chooses in another tab. */
export const start = (): void => {
  decide()
  listen<StorageEvent>(window, 'storage', ({ key }) => key === keyOf('c_') && decide())
}

/** Capture nothing any more; what waits is still sent. */
export const stop = (): void => {
  mode = 'denied'
}

/** Keep and follow the visitor's choice; none is none, and a category that is not mentioned stays as it was. */
export const choose = (given: ConsentChoice): void => {
  if (given == null) return
  hurry()
  if (typeof given === 'object') given = { ...byCategory(choice), ...given } as ConsentChoice
  guard(() => localStorage.setItem(keyOf('c_'), encode(given)))()
  follow(given)
}

/** The choice with Google consent mode's signals: the commands that the page gave to gtag. */
export const consent = (): ConsentChoice | undefined => {
  let all: object | undefined
  for (const command of (window as { dataLayer?: ArrayLike<unknown>[] }).dataLayer || []) {
    if (command?.[0] === 'consent') all = { ...all, ...(command[2] as object) }
  }
  const said = choice ?? config.consent
  return all ? ({ ...all, ...byCategory(said) } as ConsentChoice) : said
}
