import type { State } from './state'
import type { Api, Auto, CaptureOptions, Config, EventFields } from './types'

/** What a capture module gets to work with. */
export interface Core {
  _config: Config
  _state: State
  _emit(type: string, fields?: EventFields): void
  /** Whether `auto` asks for this. */
  _wants(name: Auto): boolean
  /** Runs fn when the page is hidden, maybe for good; gone says that it is unloaded. */
  _onHide(fn: (gone: boolean) => void): void
  /** Runs fn when a page inside a single-page app is left, with its address. */
  _onPage(fn: (left: EventFields) => void): void
  /** Leave a page inside a single-page app. */
  _leave(left: EventFields): void
  /** The scope of errors: tags, user, contexts, breadcrumbs. */
  _scope: EventFields
  /** Report a caught error; set by the errors module. */
  _capture(error: unknown, options?: CaptureOptions): void
  /** The page before this one, also inside a single-page app. */
  _referrer: string
}

/** A capture module: sets its listeners up when the client starts. */
export type Feature = (core: Core, api: Api) => void

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
    target.addEventListener(type, guard(fn) as EventListener, { capture: true, passive: true })
  }
}
