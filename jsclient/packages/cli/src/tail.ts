import { write } from './show.js'

interface Live {
  messageId?: string
  type?: string
  event?: string
  userId?: string
  anonymousId?: string
  url?: string
  receivedAt?: string
  destination?: string
  outcome?: string
  error?: string
  status?: number
  count?: number
  tenant?: string
}

const pad = (text: string | undefined, n: number) => (text ?? '').padEnd(n)

/** A time of day in this machine's zone, with milliseconds. */
function clock(at: string | undefined): string {
  const d = new Date(at ?? 0)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, '0')}`
}

/** Writes one message of the live tail for a person. */
export function writeLive(kind: string, data: string): void {
  const v = JSON.parse(data) as Live
  const short = (v.messageId ?? '').slice(-6)
  switch (kind) {
    case 'open':
      return write(`watching ${v.tenant}; Ctrl-C ends\n`)
    case 'event':
      return write(
        `${clock(v.receivedAt)}  ${short}  ${pad(v.type, 9)} ${pad(v.event, 24)} ${pad(v.userId || v.anonymousId, 20)} ${v.url ?? ''}\n`,
      )
    case 'delivery': {
      let line = `${' '.repeat(14)}${short}  → ${pad(v.destination, 8)} ${v.outcome}`
      if (v.status) line += ` (${v.status})`
      if (v.error) line += ` ${v.error}`
      return write(line + '\n')
    }
    case 'lost':
      return write(`… ${v.count} passed over: they came faster than this terminal takes them\n`)
  }
}
