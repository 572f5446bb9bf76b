import { type Config, configure, type Options } from './config.js'
import type { EntityType } from './entity.js'
import { Events } from './events.js'
import { Hooks } from './hooks.js'
import { floating, type Pending } from './pending.js'
import { type Call, Transport } from './transport.js'
import { typeOf } from './type.js'
import type { EntityTypes } from './types.gen.js'

/** One operation of a batch. */
export interface Operation {
  type: string
  /** `create`, `update`, `delete`, `rollback`, or one of the type's own. */
  verb: string
  id?: string
  data?: Record<string, unknown>
  ifVersion?: number
}

/** The result of one operation: its entity, or its error. */
export interface OperationResult {
  status: number
  entity?: any
  error?: { error: string; message: string; field?: string }
}

/** What the client does beside entities. */
export interface Base {
  /** The immutable event log. */
  readonly events: Events
  /** Health of integrations, deliveries, lakehouse and metrics. */
  status(): Promise<Record<string, any>>
  /** Asks the lakehouse; parameters stand for ? in the text. */
  sql<T = Record<string, any>>(query: string, parameters?: unknown[]): Promise<T[]>
  /** Up to 1,000 operations in one call, each with a result of its own. */
  batch(operations: Operation[]): Promise<OperationResult[]>
  /** A type by its name: also one that was declared in a file of your own. */
  type(name: string): EntityType<any, any> & Record<string, any>
  /** Any call below `/~{tenant}/`, for what this client has no name for. */
  request<T = any>(call: Call): Promise<T>
  /** Ends the hooks' connection, so that the process can end. */
  close(): void
}

/** The graph: every type by its name (`$.Contact.update(…)`). */
export type Client = Base & EntityTypes

/** A client of one tenant. What the options leave out comes from the environment, when the client is first used. */
export function Headlessly(options: Options = {}): Client {
  let root: Root | undefined
  return facade(() => {
    root ??= new Root(configure(options))
    return root.scope
  })
}

/** The client that the environment names. */
export const $: Client = Headlessly()

/** What makes calls: the client itself, or a hook's $. */
interface Scope {
  call<T>(call: Call | (() => Call)): Promise<T>
  root: Root
}

class Root {
  readonly transport: Transport
  readonly hooks: Hooks
  readonly events: Events
  readonly scope: Scope

  constructor(config: Config) {
    this.transport = new Transport(config)
    this.events = new Events(this.transport)
    this.hooks = new Hooks(config, (cause) => this.#within(cause))
    this.scope = { root: this, call: (call) => this.#call(call) }
  }

  /** A change waits for the hooks that were registered before it, so that they see it. */
  async #call<T>(of: Call | (() => Call)): Promise<T> {
    const call = made(of)
    if (call.method !== 'GET') await this.hooks.settled()
    return this.transport.call<T>(call)
  }

  /** The $ of one run of a hook. Its calls do not wait for registrations: a hook runs while some are under way. */
  #within(cause: string | undefined): { $: Client; done(): Promise<void> } {
    const calls: Pending<any>[] = []
    const headers: Record<string, string> = cause ? { 'X-Headlessly-Cause': cause } : {}
    const scope: Scope = {
      root: this,
      call: (of) => {
        const send = async () => {
          const call = made(of)
          return this.transport.call<any>({ ...call, headers: { ...call.headers, ...headers } })
        }
        const pending = floating(send())
        calls.push(pending)
        return pending.promise
      },
    }
    return {
      $: facade(() => scope),
      done: async () => {
        for (const c of calls) if (!c.taken()) await c.result
      },
    }
  }
}

/** The call itself. What is wrong with its arguments fails the call, as what the server finds wrong does. */
const made = (of: Call | (() => Call)): Call => (typeof of === 'function' ? of() : of)

function facade(scope: () => Scope): Client {
  const types = new Map<string, EntityType<any, any>>()
  const type = (name: string) => {
    let t = types.get(name)
    if (!t) {
      t = typeOf(
        {
          call: (call) => scope().call(call),
          hook: (hook, fn, options) => scope().root.hooks.add(hook, fn, options),
        },
        name,
      )
      types.set(name, t)
    }
    return t
  }
  const base: Base = {
    get events() {
      return scope().root.events
    },
    status: () => scope().call({ method: 'GET', path: 'status' }),
    sql: async (query, parameters = []) => {
      const body = { sql: query, ...(parameters.length ? { parameters } : {}), format: 'json' }
      return scope().call({ method: 'POST', path: 'sql', body })
    },
    batch: async (operations) =>
      (
        await scope().call<{ results: OperationResult[] }>({
          method: 'POST',
          path: 'batch',
          body: { operations },
        })
      ).results,
    type: (name) => type(name) as EntityType<any, any> & Record<string, any>,
    request: (call) => scope().call(call),
    close: () => scope().root.hooks.close(),
  }
  return new Proxy(base, {
    get(target, property, receiver) {
      if (typeof property === 'symbol' || property in target) return Reflect.get(target, property, receiver)
      return /^[A-Z]/.test(property) ? type(property) : undefined
    },
  }) as Client
}
