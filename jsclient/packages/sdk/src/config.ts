import { HeadlesslyError } from './errors.js'

/** How to reach a gateway. What is left out comes from the environment. */
export interface Options {
  /** The tenant's name; `HEADLESSLY_TENANT`, else `default`. */
  tenant?: string
  /** A secret key (`hly_sk_…`); `HEADLESSLY_API_KEY`. */
  apiKey?: string
  /** The gateway's control address; `HEADLESSLY_URL`, else `http://127.0.0.1:8081`. */
  url?: string
  /** Names this program's after hooks apart from other programs'; `HEADLESSLY_APP`, else `app`. */
  app?: string
  /** How long one call may take, in milliseconds; 60,000 unless set. */
  timeoutMs?: number
  /** How often a call that could not be made (429, no connection) is tried again; 2 unless set. */
  retries?: number
  /** The runtime's fetch unless set. */
  fetch?: typeof fetch
  /** The runtime's WebSocket, or the ws package where it has none, unless set. */
  WebSocket?: typeof WebSocket
}

/** Options with nothing left open. */
export interface Config {
  tenant: string
  apiKey: string
  url: string
  app: string
  timeoutMs: number
  retries: number
  fetch: typeof fetch
  WebSocket: typeof WebSocket | undefined
}

function environment(name: string): string | undefined {
  const runtime = globalThis as {
    process?: { env?: Record<string, string | undefined> }
    Deno?: { env: { get(name: string): string | undefined } }
  }
  try {
    return runtime.process?.env?.[name] || runtime.Deno?.env.get(name) || undefined
  } catch {
    return undefined // Deno without permission to read it
  }
}

/** Completes options from the environment; a missing key or a wrong address is an error that says what to set. */
export function configure(options: Options): Config {
  const fault = (field: string, message: string) =>
    new HeadlesslyError(0, { error: 'config', field, message })
  const apiKey = options.apiKey ?? environment('HEADLESSLY_API_KEY')
  const url = (options.url ?? environment('HEADLESSLY_URL') ?? 'http://127.0.0.1:8081').replace(/\/+$/, '')
  if (!apiKey) {
    throw fault(
      'apiKey',
      'there is no key: set HEADLESSLY_API_KEY to a secret key (hly_sk_…), or pass apiKey',
    )
  }
  if (apiKey.startsWith('hly_pk_')) {
    throw fault('apiKey', 'a public key only appends events: use a secret key (hly_sk_…)')
  }
  if (!/^https?:\/\/[^/]/.test(url)) {
    throw fault('url', `"${url}" is no http or https address: set HEADLESSLY_URL, or pass url`)
  }
  return {
    apiKey,
    url,
    tenant: options.tenant ?? environment('HEADLESSLY_TENANT') ?? 'default',
    app: options.app ?? environment('HEADLESSLY_APP') ?? 'app',
    timeoutMs: options.timeoutMs ?? 60_000,
    retries: options.retries ?? 2,
    fetch: options.fetch ?? ((...args: Parameters<typeof fetch>) => globalThis.fetch(...args)),
    WebSocket: options.WebSocket ?? (globalThis as { WebSocket?: typeof WebSocket }).WebSocket,
  }
}
