/**
 * Our own JSON writer: it survives cycles, BigInt, throwing getters and toJSON,
 * proxies, huge strings, and pages that replaced JSON or Array.prototype; and
 * it stops at a budget instead of freezing the page. Hence plain loops here.
 */
const SPECIAL = /["\\\u0000-\u001f\u007f]|\p{Cs}/gu
const escapeChar = (c: string): string => {
  const code = c.charCodeAt(0)
  return code > 127 ? '\ufffd' : '\\u' + (code + 0x10000).toString(16).slice(1)
}

/** A JSON string, cut at limit characters. */
export const quote = (s: string, limit: number): string =>
  '"' + (s.length > limit ? s.slice(0, limit) + '…' : s).replace(SPECIAL, escapeChar) + '"'

/** How much one event may hold. */
interface Budget {
  _chars: number
  _nodes: number
  _cut?: boolean
}

const MAX_DEPTH = 8
const MAX_ITEMS = 100

const write = (value: unknown, budget: Budget, depth: number): string | undefined => {
  if (--budget._nodes < 0) {
    budget._cut = true
    return
  }
  switch (typeof value) {
    case 'string':
      if (value.length > budget._chars) budget._cut = true
      return quote(value, budget._chars)
    case 'number':
      return Number.isFinite(value) ? '' + value : 'null'
    case 'boolean':
      return '' + value
    case 'bigint':
      return '"' + value + '"'
    case 'object':
      break
    default:
      return
  }
  if (!value) return 'null'
  if (depth > MAX_DEPTH) {
    budget._cut = true
    return '"…"'
  }
  try {
    let out = ''
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length && i < MAX_ITEMS; i++) {
        out += (i ? ',' : '') + (write(value[i], budget, depth + 1) || 'null')
      }
      return '[' + out + ']'
    }
    const object = value as Record<string, unknown>
    if (typeof object.toJSON === 'function') return write(object.toJSON(), budget, depth + 1)
    if (value instanceof Error || object.nodeType || object.window === value)
      return write('' + value, budget, depth)
    const keys = Object.keys(object)
    for (let i = 0; i < keys.length && i < MAX_ITEMS; i++) {
      const key = keys[i] as string
      let text: string | undefined
      try {
        text = write(object[key], budget, depth + 1)
      } catch {
        text = '"[unreadable]"'
      }
      if (text) out += (out && ',') + quote(key, 200) + ':' + text
    }
    return '{' + out + '}'
  } catch {
    return '"[unreadable]"'
  }
}

/** UTF-8 length of a text. */
export const bytes = (s: string): number => new TextEncoder().encode(s).length

/** The gateway takes 32 KiB an event. */
const MAX_EVENT = 32000

/**
 * The JSON of an event, within what the gateway takes: if need be with shorter
 * strings and fewer members, and then marked `"trimmed":true`.
 */
export const encode = (event: object): string => {
  for (let chars = 8192; ; chars /= 4) {
    const budget: Budget = { _chars: chars, _nodes: chars > 999 ? 900 : 200 }
    let text = write(event, budget, 0) || ''
    if (budget._cut) text = text.slice(0, -1) + ',"trimmed":true}'
    if (chars < 9 || (text.length < MAX_EVENT && bytes(text) < MAX_EVENT)) return text
  }
}
