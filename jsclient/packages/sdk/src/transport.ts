import type { Config } from './config.js'
import { type ErrorBody, HeadlesslyError } from './errors.js'

/** One call below `/~{tenant}/`. */
export interface Call {
  method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  path: string
  query?: Record<string, string | undefined>
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
}

const maxWaitMs = 30_000

/** Makes calls: with the key, a time limit, and another try where the server has surely done nothing. */
export class Transport {
  readonly config: Config

  constructor(config: Config) {
    this.config = config
  }

  /** The address of a path below the tenant. */
  address(path: string, query: Record<string, string | undefined> = {}): string {
    const search = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, value)
    const tail = search.size ? '?' + search : ''
    return `${this.config.url}/~${encodeURIComponent(this.config.tenant)}/${path}${tail}`
  }

  /** Makes a call and gives its JSON answer; undefined where there is none. */
  async call<T>(call: Call): Promise<T> {
    const response = await this.send(call)
    const text = await response.text()
    if (text === '') return undefined as T
    try {
      return JSON.parse(text) as T
    } catch (cause) {
      throw new HeadlesslyError(
        response.status,
        {
          error: 'invalid_answer',
          message: `the answer of ${call.method} ${call.path} is not JSON: is ${this.config.url} a headlessly control address?`,
        },
        { cause },
      )
    }
  }

  /** Makes a call and gives the answer unread; a status of 400 or more is an error. */
  async send(call: Call): Promise<Response> {
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await this.#once(call)
        if (response.ok) return response
        throw await failure(response)
      } catch (error) {
        if (!(error instanceof HeadlesslyError) || attempt >= this.config.retries || !again(error, call))
          throw error
        await pause(
          Math.min(maxWaitMs, error.retryAfter !== undefined ? error.retryAfter * 1000 : 250 * 2 ** attempt),
          call.signal,
        )
      }
    }
  }

  async #once(call: Call): Promise<Response> {
    const { config } = this
    const limit = AbortSignal.timeout(config.timeoutMs)
    const signal = call.signal ? either(limit, call.signal) : limit
    const headers: Record<string, string> = {
      Authorization: `Bearer ${config.apiKey}`,
      Accept: 'application/json',
      ...call.headers,
    }
    let body: string | undefined
    if (call.body !== undefined) {
      body = JSON.stringify(call.body)
      headers['Content-Type'] = 'application/json'
    }
    try {
      return await config.fetch(this.address(call.path, call.query), {
        method: call.method,
        headers,
        signal,
        ...(body === undefined ? {} : { body }),
      })
    } catch (cause) {
      if (call.signal?.aborted) throw cause
      throw limit.aborted
        ? new HeadlesslyError(
            0,
            {
              error: 'timeout',
              message: `${call.method} ${call.path} got no answer in ${config.timeoutMs} ms`,
            },
            { cause },
          )
        : new HeadlesslyError(
            0,
            { error: 'unreachable', message: `cannot reach ${config.url}: ${reason(cause)}` },
            { cause },
          )
    }
  }
}

/** fetch wraps why a connection failed: "fetch failed" says nothing, its cause does. */
function reason(error: unknown): string {
  const inner = (error as { cause?: { code?: string; message?: string } }).cause
  return inner?.code ?? inner?.message ?? (error as Error).message
}

/** Whether another try cannot do the same thing twice: the server refused before it began, or nothing but reading was asked. */
function again(error: HeadlesslyError, call: Call): boolean {
  if (error.code === 'rate_limited') return true
  if (error.code === 'unreachable') return call.method === 'GET' || refused(error.cause)
  return call.method === 'GET' && error.status === 503
}

function refused(cause: unknown): boolean {
  return (cause as { cause?: { code?: string } } | undefined)?.cause?.code === 'ECONNREFUSED'
}

/** AbortSignal.any is younger than Node 18. */
function either(a: AbortSignal, b: AbortSignal): AbortSignal {
  const controller = new AbortController()
  for (const signal of [a, b]) {
    if (signal.aborted) controller.abort(signal.reason)
    else
      signal.addEventListener('abort', () => controller.abort(signal.reason), {
        once: true,
        signal: controller.signal,
      })
  }
  return controller.signal
}

export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    if (signal?.aborted) stop()
    else signal?.addEventListener('abort', stop, { once: true })
  })
}

/** The error that an answer tells. */
export async function failure(response: Response): Promise<HeadlesslyError> {
  const text = await response.text()
  let body: ErrorBody
  try {
    body = JSON.parse(text)
    if (typeof body?.error !== 'string') throw new Error('no error code')
  } catch {
    body = {
      error: 'http_' + response.status,
      message: `the server answered ${response.status}: ${text.slice(0, 200) || response.statusText}`,
    }
  }
  return new HeadlesslyError(response.status, body, {
    retryAfter: seconds(response.headers.get('Retry-After')),
  })
}

/** Retry-After as seconds: a number, or a date. */
function seconds(header: string | null): number | undefined {
  if (!header) return undefined
  const n = Number(header)
  if (Number.isFinite(n)) return Math.max(0, n)
  const at = Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - Date.now()) / 1000))
}
