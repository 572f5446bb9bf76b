// Generated from the graph's entity types by cmd/tsgen. Do not edit.
import { $ } from '@headlessly/sdk'
import type * as sdk from '@headlessly/sdk'

export { $, Headlessly, HeadlesslyError } from '@headlessly/sdk'

/** A Campaign as it is read. */
export type Campaign = sdk.Campaign
/** The verbs, finds and hooks of Campaign, for the tenant that the environment names. */
export const Campaign: sdk.EntityTypes['Campaign'] = $.Campaign
