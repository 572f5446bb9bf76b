import { encode } from './encode'
import type { Frame } from './types'

const enum Limit {
  Causes = 5,
  Lines = 60,
}

/** Chromium: "at name (where)" or "at where". Firefox and WebKit: "name@where", or where alone. */
const LINE = /^\s*(?:at )?(?:((?:(?!:\/\/).)*?)(?: \(|@))?(.*?)(?::(\d+))?(?::(\d+))?\)?$/
/** Code that is not the page's own. */
const FOREIGN = /node_modules|-extension:|^(webkit-masked|node:)/

/** Parses Error.stack of Chromium, Firefox and WebKit; newest frame first. Native code has no place and is left out. */
export const parseStack = (stack: unknown): Frame[] => {
  const frames: Frame[] = []
  const text = ('' + stack).slice(0, 50000)
  for (const raw of (text.match(/^\s*at .*/gm) || text.split('\n')).slice(0, Limit.Lines)) {
    if (raw.length > 2000) continue
    // Code inside eval: only the place of the eval can be looked up.
    const line = raw.replace(/eval at .*?\((\S+?:\d+:\d+)\).*$/, '$1)').replace(/ line (\d+) > .*$/, ':$1')
    const [, name, place, lineno, colno] = LINE.exec(line) || []
    const filename = place?.replace(/^async /, '')
    if (filename && lineno) {
      frames.push({
        filename,
        function: name?.replace(/^(async|new) /, '') || '?',
        lineno: +lineno,
        colno: +(colno || 0),
        in_app: !FOREIGN.test(filename),
      })
    }
  }
  return frames
}

/** One thrown value, as it goes over the wire. */
export interface Exception {
  type: string
  value: string
  stacktrace: Frame[]
  mechanism: { type: string; handled: boolean }
}

/** The thrown value and its causes, the thrown one first. */
export const exceptionsOf = (thrown: unknown, type: string, handled = false): Exception[] => {
  const chain: Exception[] = []
  let error = thrown
  do {
    const { name, message, stack, cause } = Object(error) as Partial<Error>
    chain.push({
      type: '' + (name || 'Error'),
      value: String(message ?? (Object(error) === error ? encode(error) : error)),
      stacktrace: parseStack(stack),
      mechanism: { type: chain[0] ? 'chained' : type, handled },
    })
    error = cause
  } while (error && chain.length < Limit.Causes)
  return chain
}
