import { arrival, config, guard, listen, on, page, report, subscribe, wants } from './core'
import { emit } from './emit'

const enum Limit {
  /** Titles of single-page apps settle a moment after their address does. */
  Settle = 50,
}

let pending: (() => void) | undefined
let shown: string
let url: string
let path: string

const view = (navigation: string | undefined, at?: object): void =>
  emit('page', { ...at, properties: { navigation } })
const settle = (): void => pending?.()
const address = (): string => (config.spa === 'hash' ? location.href : location.href.replace(/#.*/s, ''))

/** The address has changed, or not: a fragment counts on demand only, and a replaced query is the same page. */
const moved = (how: string): void => {
  const { href, pathname } = location
  const next = address()
  const same = next === shown || (how === 'replace' && pathname === path)
  shown = next
  if (same) return
  settle()
  report('leave', { url, path })
  page._before = url
  url = href
  path = pathname
  const at = { url, path }
  pending = () => {
    pending = undefined
    view(how, at)
  }
  setTimeout(guard(settle), Limit.Settle)
}

/** Page views: load, restore from the back/forward cache, and navigations inside the page. */
export const pages = (): void => {
  if (!wants('pageviews')) return
  url = location.href
  path = location.pathname
  shown = address()
  subscribe('hide', settle)
  view(arrival().activationStart ? 'prerender' : arrival().type)
  listen<PageTransitionEvent>(window, 'pageshow', ({ persisted }) => persisted && view('back-forward-cache'))
  if (!on(config.spa ?? true)) return
  if (window.navigation) {
    listen<NavigationCurrentEntryChangeEvent>(navigation, 'currententrychange', ({ navigationType }) =>
      moved(navigationType || 'push'),
    )
    return
  }
  for (const name of ['push', 'replace']) {
    const method = (name + 'State') as 'pushState'
    const original = history[method]
    history[method] = function (...args) {
      original.apply(this, args)
      guard(moved)(name)
    }
  }
  listen(window, 'popstate hashchange', () => moved('traverse'))
}
