// Generated from the graph's entity types by cmd/tsgen. Do not edit.
import { $ } from '@headlessly/sdk'
import type * as sdk from '@headlessly/sdk'

export { $, Headlessly, HeadlesslyError } from '@headlessly/sdk'

/** An Event as it is read. */
export type Event = sdk.Event
/** The verbs, finds and hooks of Event, for the tenant that the environment names. */
export const Event: sdk.EntityTypes['Event'] = $.Event

/** A Metric as it is read. */
export type Metric = sdk.Metric
/** The verbs, finds and hooks of Metric, for the tenant that the environment names. */
export const Metric: sdk.EntityTypes['Metric'] = $.Metric
