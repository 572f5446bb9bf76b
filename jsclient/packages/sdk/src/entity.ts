import type { Client } from './client.js'
import type { Page } from './page.js'

/** What every entity has: seven fields that the system sets. */
export interface Entity {
  readonly $id: string
  readonly $type: string
  readonly $context: string
  readonly $version: number
  readonly $createdAt: string
  readonly $updatedAt: string
  readonly $createdBy: string
  /** How many entities of an included field are not shown, by field: beyond 100. */
  readonly $leftOut?: Readonly<Record<string, number>>
  [field: string]: any
}

/** Operators of a filter's field. */
export interface Operators {
  $eq?: unknown
  $ne?: unknown
  $gt?: unknown
  $gte?: unknown
  $lt?: unknown
  $lte?: unknown
  $in?: unknown[]
  $nin?: unknown[]
  $exists?: boolean
  $regex?: string
  $not?: Operators
}

/** Which entities: fields with values or operators, `$and`, `$or`. */
export interface Filter {
  $and?: Filter[]
  $or?: Filter[]
  [field: string]: unknown
}

/** How a find is answered. */
export interface FindOptions {
  /** A field, or a list of them; `-` before a name turns the order. Newest first unless set. */
  sort?: string | string[]
  /** 1 to 100, 25 unless set. */
  limit?: number
  offset?: number
  /** Where the page before ended. */
  cursor?: string
  /** References to answer in place, one hop. */
  include?: string[]
  fields?: string[]
  /** RFC 3339: the state of that moment. */
  asOf?: string | Date
  signal?: AbortSignal
}

/** How an entity is read. */
export interface GetOptions {
  include?: string[]
  fields?: string[]
  asOf?: string | Date
  signal?: AbortSignal
}

/** How an entity is changed. */
export interface WriteOptions {
  /** Refuse the change (`version_mismatch`) unless the entity has this `$version`. */
  ifVersion?: number
  signal?: AbortSignal
}

/** An id, alone or as the field `id` or `$id` of an object. */
export type Ref = string | { id: string } | { $id: string }

/**
 * A verb, in both of its shapes: `verb(id, data)` and `verb({ id, …data })`. One that creates goes without an id. The id
 * may be a field that an entity need not have (`sub.contact`): where it is missing, the call fails and says so.
 */
export interface Verb<T, I> {
  (id: string | null | undefined, data?: I, options?: WriteOptions): Promise<T>
  (data: I & { id?: string }, options?: WriteOptions): Promise<T>
}

/** How a hook is registered. */
export interface HookOptions {
  /**
   * The name under which an after hook's place in the events is kept: a process that comes back under this name
   * gets what happened meanwhile. Unless set it is made of the client's `app`, the hook, and the order of registration.
   */
  name?: string
  /** What a before hook's absence or silence means: `skip` (the change goes on) unless set to `veto`. */
  missing?: 'skip' | 'veto'
  /** How long the server waits for a before hook, in milliseconds; 2,000 unless set. */
  deadlineMs?: number
}

/** A registered hook. */
export interface Hook {
  /** Resolves once the server knows the hook; rejects when it refuses it. */
  readonly ready: Promise<void>
  /** Takes the hook away; an after hook's place is kept. */
  remove(): Promise<void>
}

/** Sees a change before it happens. What it sets on the draft, or gives back, becomes part of it; a throw vetoes. */
export type BeforeFn<T> = (draft: T, $: Client) => unknown
/** Sees what happened, at least once, in order for each entity. A throw has it called again later. */
export type AfterFn<T> = (entity: T, $: Client, event: EntityEvent) => unknown

export type BeforeHook<T> = (fn: BeforeFn<T>, options?: HookOptions) => Hook
export type AfterHook<T> = (fn: AfterFn<T>, options?: HookOptions) => Hook

/** One entry of the immutable event log. */
export interface EntityEvent {
  id: string
  /** `Subscription.Cancelled` */
  type: string
  /** The entity's `$id`. */
  target: string
  actor: string
  timestamp: string
  /** The whole entity for the event that made it, else the changed fields with before and after. */
  data: Record<string, any>
  tenant: string
  version: number
  /** Total order within the tenant. */
  seq: number
  cause?: string
}

/** What every type can do; its own verbs and hooks come on top. */
export interface EntityType<T, I> {
  create(data: I, options?: WriteOptions): Promise<T>
  get(ref: Ref, options?: GetOptions): Promise<T>
  find(filter?: Filter, options?: FindOptions): Promise<Page<T>>
  count(filter?: Filter, options?: { asOf?: string | Date; signal?: AbortSignal }): Promise<number>
  update: Verb<T, I>
  delete(ref: Ref, options?: WriteOptions): Promise<void>
  /** Back to an earlier version (the one before the last unless named), as a new event. */
  rollback(ref: Ref, to?: { version?: number; asOf?: string | Date }, options?: WriteOptions): Promise<T>
  /** The entity's own events, oldest first. */
  history(ref: Ref, options?: { limit?: number }): Promise<EntityEvent[]>
}
