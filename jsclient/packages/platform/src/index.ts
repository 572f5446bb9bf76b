// Generated from the graph's entity types by cmd/tsgen. Do not edit.
import { $ } from '@headlessly/sdk'
import type * as sdk from '@headlessly/sdk'

export { $, Headlessly, HeadlesslyError } from '@headlessly/sdk'

/** An Agent as it is read. */
export type Agent = sdk.Agent
/** The verbs, finds and hooks of Agent, for the tenant that the environment names. */
export const Agent: sdk.EntityTypes['Agent'] = $.Agent

/** An Alert as it is read. */
export type Alert = sdk.Alert
/** The verbs, finds and hooks of Alert, for the tenant that the environment names. */
export const Alert: sdk.EntityTypes['Alert'] = $.Alert

/** A Handler as it is read. */
export type Handler = sdk.Handler
/** The verbs, finds and hooks of Handler, for the tenant that the environment names. */
export const Handler: sdk.EntityTypes['Handler'] = $.Handler

/** An Integration as it is read. */
export type Integration = sdk.Integration
/** The verbs, finds and hooks of Integration, for the tenant that the environment names. */
export const Integration: sdk.EntityTypes['Integration'] = $.Integration
