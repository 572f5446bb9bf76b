import type { Auto, Config, EventFields } from './types'

/** Whether this is the page-view build; set when it is built. */
declare const LITE: boolean

// What every module shares. There is one client a page: two would fight over
// the same listeners, storage and network budget.

/** The page before this one, also inside a single-page app. */
export const page: { _before?: string } = {}

/** The settings given to init; without a tenant until then. */
export let config = {} as Config
export const configure = (given: Config): void => {
  config = given
}

/** Where things of this tenant are kept in the browser. */
export const keyOf = (kind: string): string => 'hly_' + kind + config.tenant

/** An option is on unless it is absent or the word false. */
export const on = (value: unknown): boolean => value != null && value + '' !== 'false'

/** Whether `auto` asks for this. */
export const wants = (name: Auto): unknown => ('' + (config.auto ?? name)).match('true|' + name)

/** Runs fn; whatever goes wrong in it is ours and stays here. */
export const guard =
  <A extends unknown[], R>(fn: (...args: A) => R): ((...args: A) => R | undefined) =>
  (...args) => {
    try {
      return fn(...args)
    } catch {
      return
    }
  }

/** Listens early, passively, and without ever throwing into the page. */
export const listen = <E extends Event>(target: EventTarget, types: string, fn: (event: E) => void): void => {
  for (const type of types.split(' ')) {
    target.addEventListener(type, guard(fn) as EventListener, { capture: 1, passive: 1 } as never)
  }
}

/** Does it once somebody sees the page: one that is only rendered ahead has no visitor yet. */
export const whenSeen = (fn: () => void): void => {
  if ((document as { prerendering?: boolean }).prerendering) listen(document, 'prerenderingchange', fn)
  else fn()
}

type Listener = (...args: never[]) => void
const listeners: Record<string, Set<Listener>> = {}

/** Calls fn at every report of that name; returns what ends it. */
export const subscribe = (name: string, fn: Listener): (() => void) => {
  const safe = guard(fn)
  // biome-ignore lint/suspicious/noAssignInExpressions: short
  const all = (listeners[name] ||= new Set()).add(safe)
  return () => void all.delete(safe)
}

/** Tells those who listen: event, ack, drop to the page; hide and leave among our own modules. */
export const report = (name: string, ...args: unknown[]): void => {
  if (!LITE && on(config.debug)) console.debug('hly', name, ...args)
  for (const fn of listeners[name] || []) fn(...(args as never[]))
}

let waiting: (() => void)[] = []
/** Does now what waits for a quiet moment. */
export const hurry = (): void => {
  const todo = waiting
  waiting = []
  for (const fn of todo) fn()
}
/** When the browser has nothing better to do, but before the page is hidden; a page that nobody sees has no such moment. */
export const soon = (fn: () => void): void => {
  waiting.push(guard(fn))
  document.hidden ? hurry() : (window.requestIdleCallback || setTimeout)(hurry, { timeout: 1000 } as never)
}

/** The scope of errors: tags, user, contexts, breadcrumbs. */
export let scope: EventFields = {}
export const clear = (): void => {
  scope = {}
}

/** How the page came to be, as the browser tells. */
export const arrival = (): { activationStart?: number; responseStart?: number; type?: string } =>
  performance.getEntriesByType('navigation')[0] || ({} as object)
