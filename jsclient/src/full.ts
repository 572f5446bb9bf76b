import { assemble, calls, init } from './api'
import { breadcrumbs } from './breadcrumbs'
import { clicks } from './clicks'
import { errorCalls, errors } from './errors'
import { forms } from './forms'
import { leave } from './leave'
import { pages } from './pages'
import type { Config } from './types'
import { vitals } from './vitals'

/** Gives target every call; init captures everything that `auto` asks for. */
export const full = (target: object): object =>
  assemble(target, {
    ...calls,
    ...errorCalls,
    init: (given: Config) => init(given, [breadcrumbs, pages, leave, clicks, forms, errors, vitals]),
  })
