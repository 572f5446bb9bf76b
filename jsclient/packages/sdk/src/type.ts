import type { Client } from './client.js'
import type {
  AfterFn,
  BeforeFn,
  EntityEvent,
  EntityType,
  Filter,
  FindOptions,
  GetOptions,
  Hook,
  HookOptions,
  Ref,
  WriteOptions,
} from './entity.js'
import { HeadlesslyError } from './errors.js'
import { Page } from './page.js'
import type { Call } from './transport.js'

/** How many events the server answers at once. */
const mostEvents = 999

/** One answer about events. */
interface EventsAnswer {
  results: EntityEvent[]
  hasMore?: boolean
  next?: { after?: number }
}

/** What a type needs of its client. */
export interface Core {
  /** Makes a call. Where making it throws, the promise is rejected. */
  call<T>(call: Call | (() => Call)): Promise<T>
  hook(hook: string, fn: (entity: any, $: Client, event: EntityEvent) => unknown, options?: HookOptions): Hook
}

type Data = Record<string, unknown>

/**
 * A type of the graph: the calls that every type has, and under any other name its own verbs and hooks. A name that is
 * called with a function is a hook, else a verb; the server knows which there are and says so of the others.
 */
export function typeOf(core: Core, name: string): EntityType<any, any> {
  const base = builtin(core, name)
  return new Proxy(base, {
    get(target, property, receiver) {
      if (typeof property === 'symbol' || property in target) return Reflect.get(target, property, receiver)
      if (property === 'then' || property === 'toJSON') return undefined // it is no promise
      const member = (first?: unknown, second?: unknown, third?: unknown) =>
        typeof first === 'function'
          ? core.hook(
              `${name}.${property}`,
              first as BeforeFn<any> | AfterFn<any>,
              second as HookOptions | undefined,
            )
          : verb(core, name, property, first, second, third)
      Reflect.set(target, property, member)
      return member
    },
  })
}

function builtin(core: Core, name: string): EntityType<any, any> {
  const path = (ref: Ref, tail = '') => `${name}/${encodeURIComponent(idOf(name, ref))}${tail}`
  const find = async (filter: Filter = {}, options: FindOptions = {}): Promise<Page<any>> => {
    const { signal, cursor, offset, ...rest } = options
    const answer = await core.call<{ results: any[]; total: number; hasMore: boolean; cursor?: string }>({
      method: 'GET',
      path: name,
      query: {
        filter: Object.keys(filter).length ? JSON.stringify(filter) : undefined,
        cursor,
        offset: offset?.toString(),
        ...reading(rest),
      },
      signal,
    })
    return Page.of_(answer, (next) => find(filter, { ...rest, ...(signal ? { signal } : {}), cursor: next }))
  }
  return {
    create: (data: Data, options: WriteOptions = {}) =>
      core.call({ method: 'POST', path: name, body: data ?? {}, signal: options.signal }),
    get: (ref: Ref, options: GetOptions = {}) =>
      core.call(() => ({ method: 'GET', path: path(ref), query: reading(options), signal: options.signal })),
    find,
    count: async (filter: Filter = {}, options: { asOf?: string | Date; signal?: AbortSignal } = {}) => {
      const query = {
        filter: Object.keys(filter).length ? JSON.stringify(filter) : undefined,
        asOf: options.asOf === undefined ? undefined : moment(options.asOf),
      }
      return (
        await core.call<{ count: number }>({
          method: 'GET',
          path: name + '/count',
          query,
          signal: options.signal,
        })
      ).count
    },
    update: (first: any, second?: any, third?: any) =>
      core.call(() => {
        const { id, data, options } = shapes(name, 'update', first, second, third)
        if (id === undefined) throw missing(name, 'update')
        return {
          method: 'PATCH',
          path: path(id),
          body: data,
          headers: condition(options),
          signal: options.signal,
        }
      }),
    delete: async (ref: Ref, options: WriteOptions = {}) => {
      await core.call({
        method: 'DELETE',
        path: path(ref),
        headers: condition(options),
        signal: options.signal,
      })
    },
    rollback: (ref: Ref, to: { version?: number; asOf?: string | Date } = {}, options: WriteOptions = {}) =>
      core.call(() => ({
        method: 'POST',
        path: path(ref, '/rollback'),
        body: {
          ...(to.version ? { version: to.version } : {}),
          ...(to.asOf ? { asOf: moment(to.asOf) } : {}),
        },
        headers: condition(options),
        signal: options.signal,
      })),
    history: async (ref: Ref, options: { limit?: number } = {}) => {
      const most = options.limit ?? Number.POSITIVE_INFINITY
      const all: EntityEvent[] = []
      for (let after: number | undefined = 0; after !== undefined; ) {
        const limit = Math.min(most - all.length, mostEvents)
        const from: number = after
        const answer: EventsAnswer = await core.call<EventsAnswer>(() => ({
          method: 'GET',
          path: path(ref, '/events'),
          query: { after: String(from), limit: String(limit) },
        }))
        all.push(...answer.results)
        after = answer.hasMore && all.length < most ? answer.next?.after : undefined
      }
      return all
    },
  }
}

/** A verb in either of its shapes: on one entity where there is an id, else on the type. */
function verb(
  core: Core,
  type: string,
  name: string,
  first: unknown,
  second: unknown,
  third: unknown,
): Promise<any> {
  return core.call(() => {
    const { id, data, options } = shapes(type, name, first, second, third)
    return {
      method: 'POST',
      path: id === undefined ? `${type}/${name}` : `${type}/${encodeURIComponent(id)}/${name}`,
      body: data,
      headers: condition(options),
      signal: options.signal,
    }
  })
}

/** Takes verb(id, data, options) and verb({id, …data}, options) apart. */
function shapes(
  type: string,
  name: string,
  first: unknown,
  second: unknown,
  third: unknown,
): { id: string | undefined; data: Data; options: WriteOptions } {
  if (typeof first === 'string') {
    if (first === '') throw missing(type, name)
    return { id: first, data: (second as Data) ?? {}, options: (third as WriteOptions) ?? {} }
  }
  if (first === null || (first === undefined && second !== undefined)) throw missing(type, name) // verb(sub.contact, …)
  if (first !== undefined && (typeof first !== 'object' || Array.isArray(first))) {
    throw new HeadlesslyError(0, {
      error: 'validation_failed',
      type,
      message: `${type}.${name} takes an id and an object, or an object`,
    })
  }
  const { id, $id, ...data } = (first as Data) ?? {}
  const ref = id ?? $id
  if (ref !== undefined && typeof ref !== 'string') {
    throw new HeadlesslyError(0, {
      error: 'validation_failed',
      type,
      field: 'id',
      message: `${type}.${name}: id must be a string`,
    })
  }
  return { id: ref, data, options: (second as WriteOptions) ?? {} }
}

function idOf(type: string, ref: Ref): string {
  const id = typeof ref === 'string' ? ref : ((ref as { id?: string })?.id ?? (ref as { $id?: string })?.$id)
  if (typeof id !== 'string' || id === '') throw missing(type, 'this call')
  return id
}

function missing(type: string, call: string): HeadlesslyError {
  return new HeadlesslyError(0, {
    error: 'validation_failed',
    type,
    field: 'id',
    message: `${call} needs the id of ${type === 'Event' ? 'an' : 'a'} ${type}`,
  })
}

function condition(options: WriteOptions): Record<string, string> {
  return options.ifVersion === undefined ? {} : { 'If-Match': `"${options.ifVersion}"` }
}

export function moment(at: string | Date): string {
  return typeof at === 'string' ? at : at.toISOString()
}

function reading(options: FindOptions): Record<string, string | undefined> {
  const list = (v?: string | string[]) => (v === undefined ? undefined : [v].flat().join(','))
  return {
    sort: list(options.sort),
    limit: options.limit?.toString(),
    include: list(options.include),
    fields: list(options.fields),
    asOf: options.asOf === undefined ? undefined : moment(options.asOf),
  }
}
