import { config, guard, scope, subscribe, wants } from './core'
import { encode } from './encode'
import type { Breadcrumb, Level } from './types'

const enum Limit {
  Crumbs = 50,
}

/** Note what happened before an error. */
export const addCrumb = (crumb: Breadcrumb): void => {
  const crumbs = (scope.breadcrumbs as Breadcrumb[]) || []
  scope.breadcrumbs = [...crumbs.slice(1 - Limit.Crumbs), { timestamp: Date.now(), ...crumb }]
}

/** An address without what may be private in it. */
const bare = (url: unknown): string => ('' + url).replace(/[?#].*/s, '')

const requested = (category: string, method: unknown, url: unknown, status_code?: number): void => {
  if (('' + url).startsWith(config.endpoint + '/e?')) return
  addCrumb({
    category,
    level: (status_code || 500) > 399 ? 'error' : 'info',
    data: { method: method || 'GET', url: bare(url), status_code },
  })
}

/** What happened before an error: requests, console lines, navigations; clicks are noted by their module. */
export const breadcrumbs = (): void => {
  if (!wants('errors')) return
  const { fetch } = window
  window.fetch = function (...args) {
    const answer = fetch.apply(this, args)
    guard(([input, init]: [unknown, RequestInit?]) => {
      const { url, method } = input as Request
      const note = guard((response?: Response) =>
        requested('fetch', init?.method || method, url || input, response?.status),
      )
      answer.then(note, () => note())
    })(args)
    return answer
  }

  const { open } = XMLHttpRequest.prototype
  XMLHttpRequest.prototype.open = function (...args: unknown[]) {
    this.addEventListener(
      'loadend',
      guard(() => requested('xhr', args[0], args[1], this.status)),
    )
    return open.apply(this, args as never)
  }

  for (const level of ['debug', 'info', 'log', 'warn', 'error'] as const) {
    const original = console[level]
    console[level] = (...args) => {
      guard(() => {
        const message = args
          .map((arg) => (typeof arg === 'string' ? arg : encode(arg)).slice(0, 200))
          .join(' ')
        addCrumb({ category: 'console', level: level.replace('warn', 'warning') as Level, message })
      })()
      original.apply(console, args)
    }
  }
  subscribe('leave', ({ url }: { url: string }) =>
    addCrumb({ category: 'navigation', data: { from: bare(url), to: bare(location.href) } }),
  )
}
