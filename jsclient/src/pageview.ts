import { assemble, calls, init } from './api'
import { guard } from './core'
import { install } from './install'
import { leave } from './leave'
import { pages } from './pages'
import type { Config } from './types'

// Page views and calls only, for <script src=".../v1?auto=pageviews" data-tenant="…">.
guard(() =>
  install((target) => assemble(target, { ...calls, init: (given: Config) => init(given, [pages, leave]) })),
)()
