import { type Feature, guard, listen } from './core'
import { on } from './types'

/** Titles of single-page apps settle a moment after their address does. */
const SETTLE_MS = 50

/** Page views: load, restore from the back/forward cache, and navigations inside the page. */
export const pages: Feature = (core) => {
  if (!core._wants('pageviews')) return
  const { spa } = core._config
  const hash = spa === 'hash'
  const address = (): string => location.pathname + location.search + (hash ? location.hash : '')
  let current = address()
  let path = location.pathname
  let href = location.href
  let pending: (() => void) | undefined

  const view = (navigation: string): void => core._emit('page', { properties: { navigation } })

  const moved = (navigation: string): void => {
    const next = address()
    // A replaced query is the same page with other filters.
    if (next === current || (navigation === 'replace' && !hash && path === location.pathname)) {
      current = next
      return
    }
    pending?.()
    core._leave({ url: href, path })
    core._referrer = href
    current = next
    path = location.pathname
    href = location.href
    const at = { url: href, path, referrer: core._referrer }
    pending = () => {
      pending = undefined
      clearTimeout(timer)
      core._emit('page', { ...at, properties: { navigation } })
    }
    const timer = setTimeout(
      guard(() => pending?.()),
      SETTLE_MS,
    )
  }

  core._onHide(() => pending?.())
  const entry = performance.getEntriesByType?.('navigation')[0] as
    | (PerformanceNavigationTiming & { activationStart?: number })
    | undefined
  view(entry?.activationStart ? 'prerender' : entry?.type === 'back_forward' ? 'pop' : entry?.type || 'load')
  listen<PageTransitionEvent>(window, 'pageshow', (event) => {
    if (event.persisted) {
      core._referrer = document.referrer
      view('bfcache')
    }
  })
  if (spa !== undefined && !on(spa)) return
  const navigation = window.navigation
  if (navigation) {
    listen<NavigationCurrentEntryChangeEvent>(navigation, 'currententrychange', (event) =>
      moved(event.navigationType === 'traverse' ? 'pop' : event.navigationType || 'replace'),
    )
    return
  }
  for (const name of ['push', 'replace'] as const) {
    const method = `${name}State` as const
    const original = history[method]
    history[method] = function (...args) {
      original.apply(this, args)
      guard(moved)(name)
    }
  }
  listen(window, 'popstate', () => moved('pop'))
  if (hash) listen(window, 'hashchange', () => moved('pop'))
}
