import { full } from './full'
import type { Api, Config } from './types.js'

export type * from './types.js'

/** The client for pages that bundle it: `new Headlessly({ tenant, endpoint })`. A page has one: all instances share it. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: full gives the instance every call of Api
export class Headlessly {
  constructor(config?: Config) {
    full(this)
    if (config) this.init(config)
  }
}
export interface Headlessly extends Api {}
