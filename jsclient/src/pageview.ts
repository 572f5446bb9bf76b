import { configure, guard, on, whenSeen } from './core'
import { install } from './install'
import { drain, emit, optOut } from './lite'
import { pages } from './pages'
import { persist } from './store'
import type { Config, Properties } from './types'

// Page views, track, identify and optOut only, for
// <script src=".../v1?auto=pageviews" data-tenant="…">. The calls that this
// build lacks do nothing.
const calls: Record<string, unknown> = {
  init(given: Config) {
    whenSeen(() => {
      configure(given)
      persist(!on(given.cookieless))
      drain()
      pages()
    })
  },
  page: guard((name?: string, properties?: Properties) =>
    emit('page', { properties: { name, ...properties } }),
  ),
  track: (event: string, properties?: Properties) => emit('track', { event, properties }),
  identify: (userId: string, traits?: Properties) => emit('identify', { userId, traits }),
  optOut,
}
guard(() =>
  install(new Proxy(calls, { get: (_, name: string) => calls[name] || (name === 'then' ? 0 : () => {}) })),
)()
