import { type Core, type Feature, listen } from './core'
import { encode } from './encode'
import { parseStack } from './stack'
import type { Api, CaptureOptions, Frame, Level } from './types'

const MAX_CAUSES = 5
/** A loop that throws must not fill the queue. */
const MAX_ERRORS = 100
const REPEAT_MS = 5000

interface Exception {
  type: string
  value: string
  stacktrace: Frame[]
  mechanism: { type: string; handled: boolean }
}

/** The thrown value and its causes, the thrown one first. */
export const exceptionsOf = (thrown: unknown, mechanism: Exception['mechanism']): Exception[] => {
  const chain: Exception[] = []
  const seen = new Set<unknown>()
  let error = thrown
  while (chain.length < MAX_CAUSES && (error !== undefined || !chain.length) && !seen.has(error)) {
    seen.add(error)
    const { name, message, stack, cause } = Object(error) as Partial<Error>
    const plain = typeof message !== 'string'
    chain.push({
      type: (typeof name === 'string' && name) || (plain ? 'Thrown ' + typeof error : 'Error'),
      value: plain
        ? typeof error === 'object' && error
          ? encode(error).slice(0, 1000)
          : '' + String(error)
        : message,
      stacktrace: parseStack(stack),
      mechanism: chain.length ? { type: 'chained', handled: mechanism.handled } : mechanism,
    })
    error = cause
  }
  return chain
}

/** Errors that nobody caught, and the calls to report what was caught. */
export const errors: Feature = (core: Core) => {
  let last = ''
  let lastTime = 0
  let count = 0

  const capture = (exception: Exception[], options: CaptureOptions = {}): void => {
    const first = exception[0] as Exception
    const key = first.type + first.value + encode(first.stacktrace)
    const now = Date.now()
    if ((key === last && Math.abs(now - lastTime) < REPEAT_MS) || ++count > MAX_ERRORS) return
    last = key
    lastTime = now
    const scope = core._scope
    core._emit('error', {
      level: options.level || 'error',
      message: first.value,
      exception,
      ...scope,
      tags: { ...Object(scope.tags), ...options.tags },
      extra: options.extra,
    })
  }

  core._capture = (error, options) =>
    capture(exceptionsOf(error, { type: 'generic', handled: true }), options)

  if (!core._wants('errors')) return
  listen<ErrorEvent>(window, 'error', (event) => {
    if (event.target !== window) return
    const mechanism = { type: 'onerror', handled: false }
    const { error, message, filename, lineno, colno } = event
    const chain = exceptionsOf(error ?? message, mechanism)
    const first = chain[0] as Exception
    if (!error) {
      const named = /^(?:Uncaught )?(?:(\w*Error): )?(.*)$/s.exec(message)
      first.type = named?.[1] || 'Error'
      first.value = named?.[2] || message
    }
    if (!first.stacktrace[0] && filename) {
      first.stacktrace.push({
        filename,
        function: '?',
        lineno: lineno || undefined,
        colno: colno || undefined,
        in_app: true,
      })
    }
    capture(chain)
  })
  listen<PromiseRejectionEvent>(window, 'unhandledrejection', (event) =>
    capture(exceptionsOf(event.reason, { type: 'onunhandledrejection', handled: false })),
  )
}

/** The calls around errors; they only note things until the client has started. */
export const errorApi = (core: Core): Partial<Api> => {
  const merge = (name: string, more: object): void => {
    core._scope[name] = { ...Object(core._scope[name]), ...more }
  }
  return {
    captureException: (error, options) => core._capture(error, options),
    captureMessage(message, level?: Level) {
      const scope = core._scope
      core._emit('message', { message: '' + message, level: level || 'info', ...scope })
    },
    setTag: (name, value) => merge('tags', { [name]: '' + value }),
    setTags: (tags) => merge('tags', tags),
    setUser(user) {
      core._scope.user = user || undefined
    },
    setContext: (name, context) => merge('contexts', { [name]: context || undefined }),
  }
}
