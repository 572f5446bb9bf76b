import { guard } from './core'
import { install } from './headlessly'
import { Headlessly } from './index'

// The whole script, for <script src=".../v1" data-tenant="…">.
guard(() => install(new Headlessly()))()
