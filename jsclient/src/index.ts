import { crumbApi } from './breadcrumbs'
import { errorApi, errors } from './errors'
import { assemble } from './headlessly'
import { leave } from './leave'
import { pages } from './pages'
import type { Api, Config } from './types'

export type * from './types'

/** The client for pages that bundle it: `new Headlessly({ tenant, endpoint })`. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: assemble gives the instance every call of Api
export class Headlessly {
  constructor(config?: Config) {
    assemble(this, [pages, leave, errors], [errorApi, crumbApi])
    if (config) this.init(config)
  }
}
export interface Headlessly extends Api {}
