/**
 * Our own JSON writer: it survives cycles, BigInt, throwing getters and toJSON,
 * proxies, huge strings, and pages that replaced JSON or Array.prototype; and
 * it stops at a budget instead of freezing the page. Hence plain loops here.
 */
export const { parse } = JSON
const SPECIAL = /["\\\0-\x1f]|\p{Cs}/gu
const escapeChar = (c: string): string => {
  const code = c.charCodeAt(0)
  return code > 127 ? '\ufffd' : '\\u' + (code + 0x10000).toString(16).slice(1)
}

/** How much one event may hold: characters of a string, values in all. */
interface Budget {
  _chars: number
  _nodes: number
  _cut?: boolean
}

const enum Limit {
  Depth = 8,
  Items = 100,
  /** The gateway takes 32 KiB an event. */
  Event = 32000,
}

/** A JSON string, cut at what the budget allows. */
const quote = (s: string, budget: Budget): string => {
  const { _chars: limit } = budget
  // One more: so that what was cut once stays as it is.
  if (s.length > limit + 1) {
    s = s.slice(0, limit) + '…'
    budget._cut = true
  }
  return '"' + s.replace(SPECIAL, escapeChar) + '"'
}

/** The JSON of holder[key], or undefined for what JSON has no word for. */
const write = (
  holder: Record<string, unknown>,
  key: string,
  budget: Budget,
  depth: number,
): string | undefined => {
  try {
    const value = holder[key] as Record<string, unknown>
    const type: string = typeof value
    if (/^st|^bi/.test(type)) return quote('' + value, budget)
    // NaN and the infinities have no word in JSON.
    if (/^n|oo/.test(type)) return (value as never) - (value as never) === 0 ? '' + value : 'null'
    if (type !== 'object') return
    if (!value) return 'null'
    if (depth > Limit.Depth || budget._nodes < 0) {
      budget._cut = true
      return '"…"'
    }
    const list = Array.isArray(value)
    if (!list && typeof value.toJSON === 'function')
      return write({ v: value.toJSON() }, 'v', budget, depth + 1)
    if (value instanceof Error || value.nodeType || value.window === value) return quote('' + value, budget)
    // Not the keys of a list: there may be millions.
    const keys = list ? (value as never) : Object.keys(value)
    let out = ''
    for (let i = 0; i < keys.length; i++) {
      if (i >= Limit.Items || --budget._nodes < 0) {
        budget._cut = true
        break
      }
      const name = (list ? i : keys[i]) as string
      const text = write(value, name, budget, depth + 1)
      if (list || text) out += (out && ',') + (list ? text || 'null' : quote(name, budget) + ':' + text)
    }
    return list ? '[' + out + ']' : '{' + out + '}'
  } catch {
    return '"[unreadable]"'
  }
}

/** UTF-8 length of a text. */
export const bytes = (s: string): number => new TextEncoder().encode(s).length

/**
 * The JSON of an event, within what the gateway takes: if need be with shorter
 * strings and fewer members, and then marked `"trimmed":true`.
 */
export const encode = (event: unknown, limit: number = Limit.Event): string => {
  for (let chars = 8192; ; chars /= 4) {
    const budget: Budget = { _chars: chars, _nodes: chars > 999 ? 900 : 200 }
    let text = write({ v: event }, 'v', budget, 0) || ''
    if (budget._cut) text = text.replace(/}$/, ',"trimmed":true}')
    if (chars < 9 || bytes(text) < limit) return text
  }
}
