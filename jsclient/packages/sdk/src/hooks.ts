import type { Client } from './client.js'
import type { Config } from './config.js'
import type { EntityEvent, Hook, HookOptions } from './entity.js'
import { HeadlesslyError } from './errors.js'
import { type Message, Socket } from './socket.js'

type Fn = (entity: any, $: Client, event: EntityEvent) => unknown

/** Makes the $ of one hook's run: what it does names its cause, and done() waits for the calls that the hook left alone. */
export type Within = (cause: string | undefined) => { $: Client; done(): Promise<void> }

interface Registration {
  id: string
  hook: string
  fn: Fn
  options: HookOptions & { name: string }
  stands: boolean // the server knows it on this connection
  resolve(): void
  reject(error: Error): void
  removed?: () => void
}

/** The hooks of one client: registered on one WebSocket, and again on each that follows it. */
export class Hooks {
  readonly #config: Config
  readonly #within: Within
  readonly #registrations = new Map<string, Registration>()
  readonly #count = new Map<string, number>()
  readonly #pending = new Set<Promise<void>>()
  #socket: Socket | undefined
  #refused: HeadlesslyError | undefined
  #next = 0

  constructor(config: Config, within: Within) {
    this.#config = config
    this.#within = within
  }

  add(hook: string, fn: Fn, options: HookOptions = {}): Hook {
    const n = (this.#count.get(hook) ?? 0) + 1
    this.#count.set(hook, n)
    const name = options.name ?? (n === 1 ? this.#config.app : `${this.#config.app}-${n}`)
    let registration!: Registration
    const ready = new Promise<void>((resolve, reject) => {
      registration = {
        id: 'r' + ++this.#next,
        hook,
        fn,
        options: { ...options, name },
        stands: false,
        resolve,
        reject,
      }
    })
    this.#registrations.set(registration.id, registration)
    this.#waitFor(ready)
    if (this.#refused) registration.reject(this.#refused)
    else if (this.#socket) this.#register(registration)
    else this.#socket = this.#open()
    return { ready, remove: () => this.#remove(registration) }
  }

  /** Resolves when no registration is under way; one that fails says so through its own `ready`. */
  async settled(): Promise<void> {
    while (this.#pending.size) await Promise.allSettled(this.#pending)
  }

  close(): void {
    this.#socket?.close()
    this.#socket = undefined
    for (const r of this.#registrations.values()) r.resolve()
    this.#registrations.clear()
  }

  /** Calls wait for registrations; nobody has to await `ready`, so its failure is told on the console. */
  #waitFor(ready: Promise<void>): void {
    this.#pending.add(ready)
    ready.then(
      () => this.#pending.delete(ready),
      (error) => {
        this.#pending.delete(ready)
        console.error(`headlessly: a hook was not registered: ${(error as Error).message}`)
      },
    )
  }

  #open(): Socket {
    return new Socket(this.#config, {
      welcome: () => {
        for (const r of this.#registrations.values()) this.#register(r)
      },
      message: (message) => this.#take(message),
      lost: () => {
        for (const r of this.#registrations.values()) r.stands = false
      },
      refused: (error) => {
        this.#refused = error
        for (const r of this.#registrations.values()) r.reject(error)
      },
    })
  }

  #register(r: Registration): void {
    const { name, missing, deadlineMs } = r.options
    this.#socket?.send({
      type: 'register',
      id: r.id,
      hook: r.hook,
      name,
      ...(missing ? { missing } : {}),
      ...(deadlineMs ? { deadlineMs } : {}),
    })
  }

  #remove(r: Registration): Promise<void> {
    if (!this.#registrations.has(r.id)) return Promise.resolve()
    r.resolve()
    if (!r.stands) {
      this.#forget(r)
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      r.removed = resolve
      this.#socket?.send({ type: 'unregister', id: r.id })
    })
  }

  /** The last hook's end closes the connection, so that the process can end. */
  #forget(r: Registration): void {
    this.#registrations.delete(r.id)
    r.removed?.()
    if (this.#registrations.size) return
    this.#socket?.close()
    this.#socket = undefined
  }

  #take(message: Message): void {
    const r = this.#registrations.get(message['id'])
    switch (message.type) {
      case 'registered':
        if (r) {
          r.stands = true
          r.resolve()
        }
        break
      case 'unregistered':
        if (r) this.#forget(r)
        break
      case 'before':
        void this.#before(r, message)
        break
      case 'after':
        void this.#after(r, message)
        break
      case 'error':
        this.#failed(r, message)
    }
  }

  #failed(r: Registration | undefined, message: Message): void {
    const error = new HeadlesslyError(0, {
      error: message['error'],
      message: message['message'],
      field: message['field'],
    })
    if (r && !r.stands && error.code !== 'parked') {
      r.reject(error)
      this.#registrations.delete(r.id)
    } else {
      console.error(`headlessly: ${r ? r.hook + ': ' : ''}${error.message}`)
    }
  }

  async #before(r: Registration | undefined, message: Message): Promise<void> {
    const answer = (more: object) =>
      this.#socket?.send({ type: 'answer', callId: message['callId'], ...more })
    if (!r) return answer({})
    try {
      const draft = message['entity']
      const before = new Map(Object.entries(draft).map(([k, v]) => [k, JSON.stringify(v)]))
      const { $, done } = this.#within(message['cause'])
      const given = await r.fn(draft, $, message['event'])
      await done()
      if (given !== null && typeof given === 'object' && given !== draft) Object.assign(draft, given)
      const patch = changes(before, draft)
      answer(Object.keys(patch).length ? { patch } : {})
    } catch (error) {
      answer({ veto: text(error) })
    }
  }

  async #after(r: Registration | undefined, message: Message): Promise<void> {
    const { id, seq } = message
    if (!r) return
    try {
      const { $, done } = this.#within(message['cause'])
      await r.fn(message['entity'], $, message['event'])
      await done()
      this.#socket?.send({ type: 'ack', id, seq })
    } catch (error) {
      this.#socket?.send({ type: 'nack', id, seq, error: text(error) })
    }
  }
}

/** The fields that a hook has changed, added, or taken away (null). */
function changes(before: Map<string, string>, draft: Record<string, unknown>): Record<string, unknown> {
  const patch: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(draft)) {
    if (!field.startsWith('$') && JSON.stringify(value) !== before.get(field)) patch[field] = value ?? null
  }
  for (const field of before.keys()) {
    if (!field.startsWith('$') && !(field in draft)) patch[field] = null
  }
  return patch
}

const longestReason = 2000

function text(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return (message || 'the hook threw without a message').slice(0, longestReason)
}
