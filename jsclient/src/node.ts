import { encode } from './encode'
import { uuid7 } from './ids'
import { exceptionsOf } from './stack'
import type { Breadcrumb, CaptureOptions, ConsentChoice, Level, Properties } from './types.js'

export type * from './types.js'

declare const VERSION: string

const enum Limit {
  /** Events of one request. */
  Batch = 500,
  /** Characters of one request: well below the gateway's 4 MiB. */
  Chars = 1_000_000,
  /** Events kept while the gateway does not answer; older ones are dropped, and told. */
  Queue = 50_000,
  Wait = 60_000,
  Timeout = 30_000,
  Crumbs = 50,
}

/** How the server client is set up. */
export interface NodeConfig {
  tenant: string
  /** Base address of the gateway, such as https://js.example.com. */
  endpoint: string
  /** A public or secret key, sent as a bearer token. */
  key?: string
  release?: string
  environment?: string
  /** Milliseconds that events may wait for company. 1000 by default. */
  flushInterval?: number
  /** Flush on SIGTERM and SIGINT before the process ends. true by default. */
  handleSignals?: boolean
  /** Change an event before it is queued, or return null to drop it. */
  beforeSend?: (event: Properties) => Properties | null | undefined
  /** For tests: another fetch. */
  fetch?: typeof fetch
}

/** Whom and when a call is about; a server has many visitors, so each call says it. */
export interface About {
  userId?: string
  anonymousId?: string
  sessionId?: string
  groupId?: string
  /** Milliseconds since 1970; now by default. */
  ts?: number
  /** The id that makes a repeated call count once. */
  messageId?: string
  url?: string
}

type Listener = (about: never, reason: never) => void

/**
 * The client for servers: the same calls as in the browser, with a last
 * argument that says whom it is about. It batches, repeats what failed under the
 * same ids, and delivers what waits on shutdown. No call throws or blocks.
 */
export class Headlessly {
  private config: NodeConfig
  private queue: { id: string; json: string }[] = []
  private timer: ReturnType<typeof setTimeout> | undefined
  private sending: Promise<void> | undefined
  private failures = 0
  private pausedUntil = 0
  private closed = false
  /** Nothing is waited for any more. */
  private ended = false
  private request: AbortController | undefined
  /** The batch under way. */
  private flying: { id: string; json: string }[] = []
  private wake: (() => void) | undefined
  private superProperties: Properties = {}
  private scope: {
    tags?: Properties
    contexts?: Properties
    user?: Properties | null
    breadcrumbs?: Breadcrumb[]
  } = {}
  private clocks = new Map<string, number>()
  private choice: ConsentChoice | undefined
  private silent = false
  private talks = false
  private listeners: Record<string, Set<Listener>> = {}
  private stopListening = (): void => {}

  constructor(config: NodeConfig) {
    this.config = config
    if (config.handleSignals === false) return
    // A process that has nothing else to do would end with what waits for company.
    const leave = (): void => {
      if (this.queue[0] || this.sending) void this.shutdown()
    }
    const onSignal = (signal: NodeJS.Signals): void => {
      leaving++
      // A second signal ends the process at once; where others listen, when it ends is up to them.
      void this.shutdown().then(() => {
        if (!--leaving && !process.listenerCount(signal)) process.kill(process.pid, signal)
      })
    }
    this.stopListening = () => {
      process.off('SIGTERM', onSignal).off('SIGINT', onSignal).off('beforeExit', leave)
    }
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal).on('beforeExit', leave)
  }

  track(event: string, properties?: Properties, about?: About): void {
    const began = this.clocks.get(event)
    this.clocks.delete(event)
    const durationMs = began === undefined ? undefined : Math.round(performance.now() - began)
    this.emit('track', () => ({ event, properties: { durationMs, ...properties } }), about)
  }
  page(name?: string, properties?: Properties, about?: About): void {
    this.emit('page', () => ({ properties: { name, ...properties } }), about)
  }
  identify(userId: string, traits?: Properties, about?: About): void {
    this.emit('identify', () => ({ userId, traits }), about)
  }
  group(groupId: string, traits?: Properties, about?: About): void {
    this.emit('group', () => ({ groupId, traits }), about)
  }
  alias(userId: string, about: About & { previousId: string }): void {
    this.emit('alias', () => ({ userId }), about)
  }
  captureException(error: unknown, options: CaptureOptions = {}, about?: About): void {
    this.emit(
      'error',
      () => {
        const { tags, extra, level = 'error' } = options
        const exception = exceptionsOf(error, 'generic', true)
        return { ...this.scope, level, exception, tags: { ...this.scope.tags, ...tags }, extra }
      },
      about,
    )
  }
  captureMessage(message: string, level: Level = 'info', about?: About): void {
    this.emit('message', () => ({ ...this.scope, message: String(message), level }), about)
  }
  /** Note what happened before an error, in this process. */
  addBreadcrumb(crumb: Breadcrumb): void {
    const crumbs = this.scope.breadcrumbs ?? []
    safely(() => {
      this.scope.breadcrumbs = [...crumbs.slice(1 - Limit.Crumbs), { timestamp: Date.now(), ...crumb }]
    })
  }
  setUser(user: Properties | null): void {
    this.scope.user = user
  }
  setTag(name: string, value: string): void {
    this.setTags({ [name]: value })
  }
  setTags(tags: Record<string, string>): void {
    safely(() => {
      this.scope.tags = { ...this.scope.tags, ...tags }
    })
  }
  setContext(name: string, context: Properties | null): void {
    this.scope.contexts = { ...this.scope.contexts, [name]: context ?? undefined }
  }
  /** Properties to add to every later event. */
  register(properties: Properties): void {
    safely(() => {
      this.superProperties = { ...this.superProperties, ...properties }
    })
  }
  unregister(name: string): void {
    delete this.superProperties[name]
  }
  /** Start a clock; the next `track` of that name carries `durationMs`. */
  timeEvent(name: string): void {
    this.clocks.set(name, performance.now())
  }
  /** Take no events until `optIn`. */
  optOut(): void {
    this.silent = true
  }
  optIn(): void {
    this.silent = false
  }
  /** What the visitors of this process agreed to, said with every batch; a plain 'denied' or 'wait' takes no events. */
  consent(choice: ConsentChoice): void {
    this.choice = choice
    this.silent = choice === 'denied' || choice === 'wait'
  }
  /** Forget tags, user, contexts, breadcrumbs, registered properties and clocks. */
  reset(): void {
    this.scope = {}
    this.superProperties = {}
    this.clocks.clear()
  }
  /** Say on standard error what is taken, acknowledged and given up. */
  debug(on = true): void {
    this.talks = on
  }
  /** `event`: each event as queued. `ack`: ids that a 202 confirmed. `drop`: ids given up, and why. Returns a function that unsubscribes. */
  on(name: 'event', fn: (event: Properties) => void): () => void
  on(name: 'ack', fn: (messageIds: string[]) => void): () => void
  on(name: 'drop', fn: (messageIds: string[], reason: string) => void): () => void
  on(name: string, fn: Listener): () => void {
    this.listeners[name] ??= new Set()
    const set = this.listeners[name].add(fn)
    return () => void set.delete(fn)
  }

  /** Resolves when everything that waits now has its answer. */
  async flush(): Promise<void> {
    clearTimeout(this.timer)
    this.timer = undefined
    this.sending ??= this.work().finally(() => {
      this.sending = undefined
    })
    await this.sending
  }

  /** Takes no more events, and waits up to ms for the answers. Events that are left then are told as dropped. */
  async shutdown(ms = 10_000): Promise<void> {
    this.closed = true
    this.stopListening()
    let timer: ReturnType<typeof setTimeout> | undefined
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms)
    })
    this.wake?.()
    await Promise.race([this.flush(), patience])
    clearTimeout(timer)
    // What is under way may have arrived, but nobody knows: it is told as lost, and not tried again.
    const left = [...this.flying, ...this.queue.splice(0)]
    this.ended = true
    this.request?.abort()
    this.wake?.()
    if (left[0]) this.report('drop', ids(left), 'shutdown')
  }

  private emit(type: string, say: () => Properties, about: About = {}): void {
    // Never into the caller: what cannot be captured is not worth a request that fails.
    safely(() => {
      if (this.closed || this.silent) return
      const ts = about.ts ?? Date.now()
      const fields = say()
      let event: Properties | null | undefined = {
        type,
        release: this.config.release,
        environment: this.config.environment,
        ...fields,
        ...about,
        ts,
        messageId: about.messageId ?? uuid7(ts),
        properties: { ...this.superProperties, ...(fields.properties as Properties) },
      }
      if (this.config.beforeSend) event = this.config.beforeSend(event)
      if (!event) return
      // Without an id a repetition would count twice.
      event.messageId ??= uuid7(ts)
      this.queue.push({ id: String(event.messageId), json: encode(event) })
      this.report('event', event)
      if (this.queue.length > Limit.Queue) this.report('drop', ids(this.queue.splice(0, 1)), 'full')
      if (this.queue.length >= Limit.Batch) void this.flush()
      else this.timer ??= setTimeout(() => void this.flush(), this.config.flushInterval ?? 1000).unref()
    })
  }

  /** Sends batch after batch until nothing waits. */
  private async work(): Promise<void> {
    while (this.queue[0]) {
      const wait = this.pausedUntil - Date.now()
      if (wait > 0) await this.pause(wait)
      const batch = this.take()
      if (!batch[0]) return
      this.flying = batch
      const after = await this.send(batch)
      this.flying = []
      if (this.ended) return
      if (after === undefined) this.failures = 0
      else {
        this.queue.unshift(...batch)
        const backoff = Math.min(2 ** this.failures++ * 500, Limit.Wait) * (0.5 + Math.random() / 2)
        this.pausedUntil = Date.now() + Math.max(after * 1000, backoff)
      }
    }
  }

  /** Waits, but not beyond a shutdown's first try. */
  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      if (!this.closed) timer.unref()
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  private take(): { id: string; json: string }[] {
    let chars = 0
    let count = 0
    for (const { json } of this.queue) {
      chars += json.length
      if (count >= Limit.Batch || (count && chars > Limit.Chars)) break
      count++
    }
    return this.queue.splice(0, count)
  }

  /** Seconds to wait at least before this batch is sent again; undefined when it is done with. */
  private async send(batch: { id: string; json: string }[]): Promise<number | undefined> {
    const { tenant, endpoint, key } = this.config
    const library = { name: '@headlessly/node', version: VERSION }
    const context = encode({ library, consent: this.choice })
    const head = `{"tenant":${JSON.stringify(tenant)},"sentAt":${Date.now()},"context":${context},"events":[`
    const request = new AbortController()
    this.request = request
    const timer = setTimeout(() => request.abort(), Limit.Timeout).unref()
    let response: Response
    let answer: { rejected?: { index: number; error: string }[] }
    try {
      response = await (this.config.fetch ?? fetch)(`${endpoint}/e?t=${encodeURIComponent(tenant)}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...(key && { Authorization: `Bearer ${key}` }) },
        body: head + batch.map(({ json }) => json).join(',') + ']}',
        signal: request.signal,
      })
      answer = ((await response.json().catch(() => undefined)) ?? {}) as typeof answer
    } catch {
      return 0
    } finally {
      clearTimeout(timer)
    }
    if (this.ended) return
    const { status } = response
    if (status === 408 || status === 429 || status > 499)
      return Number(response.headers.get('Retry-After')) || 0
    if (!response.ok) {
      this.report('drop', ids(batch), `status ${status}`)
      return
    }
    const refused = new Set<number>()
    for (const { index, error } of answer.rejected ?? []) {
      refused.add(index)
      this.report('drop', ids(batch.slice(index, index + 1)), error)
    }
    this.report('ack', ids(batch.filter((_, i) => !refused.has(i))))
    return
  }

  private report(name: string, about: unknown, reason?: string): void {
    if (this.talks) console.error('[hly]', name, about, reason ?? '')
    for (const fn of this.listeners[name] ?? []) {
      safely(() => fn(about as never, reason as never)) // a listener's fault is its own
    }
  }
}

/** Clients that deliver before a signal ends the process: the last one lets it. */
let leaving = 0

/** Runs fn; what goes wrong in it stays here. */
const safely = (fn: () => void): void => {
  try {
    fn()
  } catch {}
}

const ids = (batch: { id: string }[]): string[] => batch.map(({ id }) => id)
