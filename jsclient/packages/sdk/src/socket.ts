import type { Config } from './config.js'
import { HeadlesslyError } from './errors.js'

/** A message of the hook protocol. */
export type Message = { type: string; [field: string]: any }

/** What a socket tells its owner. */
export interface Listener {
  /** The connection stands: register everything (again). */
  welcome(): void
  message(message: Message): void
  /** The connection broke; it is being made again. */
  lost(): void
  /** The server will not have it: there is no other try. */
  refused(error: HeadlesslyError): void
}

const pingMs = 20_000
const silenceMs = 40_000
const backoffMs = 30_000

/** Closings after which another try would end the same way. */
const final: Record<number, string> = {
  4400: 'protocol',
  4401: 'unauthorized',
  4403: 'forbidden',
  4404: 'not_found',
  4409: 'conflict',
}

/** One WebSocket to the gateway's hooks, made again whenever it breaks. */
export class Socket {
  readonly #config: Config
  readonly #listener: Listener
  readonly #client: string
  #socket: WebSocket | undefined
  #ready = false
  #closed = false
  #failures = 0
  #heard = 0
  #said: Message | undefined // the last error of the server, which explains a closing
  #timer: ReturnType<typeof setTimeout> | undefined
  #beat: ReturnType<typeof setInterval> | undefined

  constructor(config: Config, listener: Listener) {
    this.#config = config
    this.#listener = listener
    this.#client = randomId()
    void this.#connect()
  }

  get ready(): boolean {
    return this.#ready
  }

  send(message: Message): void {
    if (this.#ready) this.#socket?.send(JSON.stringify(message))
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    clearInterval(this.#beat)
    this.#ready = false
    this.#socket?.close(1000)
  }

  async #connect(): Promise<void> {
    let socket: WebSocket
    try {
      const address = `${this.#config.url.replace(/^http/, 'ws')}/~${encodeURIComponent(this.#config.tenant)}/hooks/ws`
      socket = new (await webSocket(this.#config))(address)
    } catch (error) {
      this.#listener.refused(
        new HeadlesslyError(
          0,
          { error: 'unreachable', message: `hooks need a WebSocket: ${(error as Error).message}` },
          { cause: error },
        ),
      )
      return
    }
    if (this.#closed) return socket.close()
    this.#socket = socket
    this.#heard = Date.now()
    clearInterval(this.#beat)
    this.#beat = setInterval(() => this.#watch(socket), pingMs)
    socket.onopen = () =>
      socket.send(
        JSON.stringify({ type: 'hello', version: 1, key: this.#config.apiKey, client: this.#client }),
      )
    socket.onmessage = (event) => this.#take(String(event.data))
    socket.onerror = () => undefined // the closing that follows says it
    socket.onclose = (event) => this.#ended(socket, event.code, event.reason)
  }

  #take(text: string): void {
    this.#heard = Date.now()
    let message: Message
    try {
      message = JSON.parse(text)
    } catch {
      return
    }
    if (message.type === 'welcome') {
      this.#ready = true
      this.#failures = 0
      this.#listener.welcome()
    } else if (message.type !== 'pong') {
      if (message.type === 'error') this.#said = message
      this.#listener.message(message)
    }
  }

  #watch(socket: WebSocket): void {
    if (Date.now() - this.#heard > silenceMs) socket.close()
    else this.send({ type: 'ping' })
  }

  #ended(socket: WebSocket, code: number, reason: string): void {
    if (socket !== this.#socket) return
    clearInterval(this.#beat)
    this.#ready = false
    if (this.#closed) return
    const kind = final[code]
    if (kind) {
      const message =
        this.#said?.['message'] || reason || `the gateway closed the hooks' connection (${code})`
      this.#listener.refused(new HeadlesslyError(0, { error: kind, message }))
      return
    }
    this.#listener.lost()
    const most = Math.min(backoffMs, 1000 * 2 ** Math.min(this.#failures++, 5))
    this.#timer = setTimeout(() => void this.#connect(), Math.random() * most)
  }
}

async function webSocket(config: Config): Promise<typeof WebSocket> {
  if (config.WebSocket) return config.WebSocket
  const module = await import('ws')
  return (module.WebSocket ?? module.default) as unknown as typeof WebSocket
}

export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')
}
