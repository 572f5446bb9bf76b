import type { Api, Config } from './types.js';
export type * from './types.js';
/** The client for pages that bundle it: `new Headlessly({ tenant, endpoint })`. A page has one: all instances share it. */
export declare class Headlessly {
    constructor(config?: Config);
}
export interface Headlessly extends Api {
}
