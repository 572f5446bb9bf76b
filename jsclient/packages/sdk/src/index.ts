/**
 * The SDK of headless.ly's entity graph.
 *
 *     import { $, Headlessly } from '@headlessly/sdk'
 *     const active = await $.Integration.find({ status: 'Active' })
 *     const acme = Headlessly({ tenant: 'acme', apiKey: 'hly_sk_…', url: 'https://control.example.com' })
 *
 * Settings that are not passed come from HEADLESSLY_URL, HEADLESSLY_TENANT and HEADLESSLY_API_KEY.
 */
export { $, type Base, type Client, Headlessly, type Operation, type OperationResult } from './client.js'
export type { Options } from './config.js'
export type {
  AfterFn,
  AfterHook,
  BeforeFn,
  BeforeHook,
  Entity,
  EntityEvent,
  EntityType,
  Filter,
  FindOptions,
  GetOptions,
  Hook,
  HookOptions,
  Operators,
  Ref,
  Verb,
  WriteOptions,
} from './entity.js'
export { type ErrorBody, type Fault, HeadlesslyError } from './errors.js'
export type { EventQuery, Events } from './events.js'
export { Page } from './page.js'
export type { Call } from './transport.js'
export type * from './types.gen.js'
export { type HeadersLike, verifyWebhook } from './webhooks.js'
