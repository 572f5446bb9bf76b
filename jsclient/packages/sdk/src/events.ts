import type { EntityEvent } from './entity.js'
import { HeadlesslyError } from './errors.js'
import { failure, pause, type Transport } from './transport.js'

/** Which events. */
export interface EventQuery {
  /** A sequence or an RFC 3339 time; exclusive. */
  after?: string | number
  before?: string | number
  /** `Deal.Closed`, `Deal.*`, `*.Created`, `*` */
  type?: string
  /** An `$id`. */
  entity?: string
  actor?: string
  limit?: number
}

/** Reads the immutable event log, and follows it. */
export class Events {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /**
   * Events that have happened: newest first, or from `after` on oldest first; 25 unless `limit` says more (up to 1,000).
   * `hasMore` says whether the answer ends there: go on with the last one's `seq` as `before`, or as `after`.
   */
  async find(query: EventQuery = {}): Promise<EntityEvent[] & { readonly hasMore: boolean }> {
    const answer = await this.#transport.call<{ results: EntityEvent[]; hasMore?: boolean }>({
      method: 'GET',
      path: 'events',
      query: text(query),
    })
    return Object.defineProperty(answer.results, 'hasMore', {
      value: answer.hasMore ?? false,
    }) as EntityEvent[] & { readonly hasMore: boolean }
  }

  /**
   * Events as they happen, from the sequence `after` on (from now on unless set), without end: a lost connection is
   * made again where it broke, so that none is missed.
   */
  async *stream(
    query: Omit<EventQuery, 'before' | 'limit'> & { signal?: AbortSignal } = {},
  ): AsyncGenerator<EntityEvent, void, undefined> {
    const { signal, after, ...rest } = query
    let last = after === undefined ? undefined : String(after)
    for (let failed = 0; !signal?.aborted; ) {
      try {
        for await (const event of this.#once(
          text({ ...rest, ...(last === undefined ? {} : { after: last }) }),
          signal,
        )) {
          failed = 0
          if (event.id !== undefined) last = event.id
          if (event.data !== undefined) yield event.data
        }
      } catch (error) {
        if (signal?.aborted) return
        const permanent =
          error instanceof HeadlesslyError &&
          error.status >= 400 &&
          error.status < 500 &&
          error.status !== 429
        if (permanent) throw error
      }
      failed++
      await pause(Math.min(30_000, 250 * 2 ** Math.min(failed, 7)), signal).catch(() => undefined)
    }
  }

  async *#once(
    query: Record<string, string | undefined>,
    signal?: AbortSignal,
  ): AsyncGenerator<{ id?: string; data?: EntityEvent }, void, undefined> {
    const { config } = this.#transport
    const response = await config.fetch(this.#transport.address('events/stream', query), {
      headers: {
        Authorization: `Bearer ${config.apiKey}`,
        Accept: 'text/event-stream',
        ...(query['after'] === undefined ? {} : { 'Last-Event-ID': query['after'] }),
      },
      ...(signal ? { signal } : {}),
    })
    if (!response.ok) throw await failure(response)
    if (!response.body) return
    for await (const message of messages(response.body)) {
      if (message.event === 'event' || message.event === '' || message.event === 'message') {
        yield {
          ...(message.id === undefined ? {} : { id: message.id }),
          ...(message.data === '' ? {} : { data: JSON.parse(message.data) as EntityEvent }),
        }
      }
    }
  }
}

function text(query: object): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(query).map(([k, v]) => [k, v === undefined ? undefined : String(v)]),
  )
}

/** Server-sent events by the HTML standard, section 9.2.6. */
export async function* messages(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<{ event: string; id?: string; data: string }, void, undefined> {
  const decoder = new TextDecoder()
  const reader = body.getReader()
  let rest = ''
  let event = ''
  let id: string | undefined
  let data: string[] = []
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      rest += decoder.decode(value, { stream: true })
      const lines = rest.split(/\r\n|\n|\r(?!$)/)
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line === '') {
          if (data.length || id !== undefined)
            yield { event, ...(id === undefined ? {} : { id }), data: data.join('\n') }
          event = ''
          id = undefined
          data = []
          continue
        }
        const colon = line.indexOf(':')
        const field = colon < 0 ? line : line.slice(0, colon)
        const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
        if (field === 'event') event = value
        else if (field === 'id') id = value
        else if (field === 'data') data.push(value)
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}
