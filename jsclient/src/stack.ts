import type { Frame } from './types'

const MAX_FRAMES = 50
/** Chromium: "at name (where)" or "at where". */
const V8 = /^\s*at (?:(.*?) \()?(.*?)(?::(\d+))?(?::(\d+))?\)?$/
/** Firefox and WebKit: "name@where", or where alone. */
const GECKO = /^\s*(?:((?:(?!:\/\/).)*?)@)?(.*?)(?::(\d+))?(?::(\d+))?$/
/** Code that is not the page's own. */
const FOREIGN =
  /node_modules|^(chrome|moz|safari(-web)?)-extension:|^webkit-masked-url:|^\[?native|^<anonymous>|^node:/

/** Parses Error.stack of Chromium, Firefox and WebKit; newest frame first. */
export const parseStack = (stack: unknown): Frame[] => {
  const frames: Frame[] = []
  if (typeof stack !== 'string') return frames
  const v8 = /^\s*at /m.test(stack)
  for (const raw of stack.slice(0, 50000).split('\n')) {
    if (raw.length > 2000 || frames.length >= MAX_FRAMES || (v8 && !/^\s*at /.test(raw))) continue
    // Code inside eval: only the place of the eval can be looked up.
    const line = raw.replace(/eval at .*?\((\S+?:\d+:\d+)\).*$/, '$1)').replace(/ line (\d+) > .*$/, ':$1')
    const match = (v8 ? V8 : GECKO).exec(line)
    const filename = match?.[2]?.replace(/^async /, '') || ''
    if (!match || !(match[3] || /^(<anonymous>|native|\[native code\])$/.test(filename))) continue
    frames.push({
      filename,
      function: match[1]?.replace(/^(async|new) /, '') || '?',
      lineno: +(match[3] || 0) || undefined,
      colno: +(match[4] || 0) || undefined,
      in_app: !FOREIGN.test(filename),
    })
  }
  return frames
}
