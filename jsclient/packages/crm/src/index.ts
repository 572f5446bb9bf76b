// Generated from the graph's entity types by cmd/tsgen. Do not edit.
import { $ } from '@headlessly/sdk'
import type * as sdk from '@headlessly/sdk'

export { $, Headlessly, HeadlesslyError } from '@headlessly/sdk'

/** A Contact as it is read. */
export type Contact = sdk.Contact
/** The verbs, finds and hooks of Contact, for the tenant that the environment names. */
export const Contact: sdk.EntityTypes['Contact'] = $.Contact

/** A Deal as it is read. */
export type Deal = sdk.Deal
/** The verbs, finds and hooks of Deal, for the tenant that the environment names. */
export const Deal: sdk.EntityTypes['Deal'] = $.Deal
