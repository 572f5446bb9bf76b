import { guard } from './core'
import { full } from './full'
import { install } from './install'

// The whole script, for <script src=".../v1" data-tenant="…">.
guard(() => install(full({})))()
