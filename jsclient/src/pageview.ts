import { guard } from './core'
import { assemble, install } from './headlessly'
import { leave } from './leave'
import { pages } from './pages'

// Page views and calls only, for <script src=".../v1?auto=pageviews" data-tenant="…">.
guard(() => {
  const target = {}
  assemble(target, [pages, leave], [])
  install(target)
})()
