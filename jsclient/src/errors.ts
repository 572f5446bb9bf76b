import { addCrumb } from './breadcrumbs'
import { config, listen, report, scope, wants } from './core'
import { selectorOf } from './dom'
import { emit } from './emit'
import { encode } from './encode'
import { exceptionsOf } from './stack'
import type { Api, CaptureOptions } from './types'

const enum Limit {
  /** A loop that throws must not fill the queue: so many without this much quiet between them. */
  Errors = 100,
  Quiet = 5000,
}

let last = ''
let lastTime = 0
let count = 0

const capture = (
  thrown: unknown,
  type: string,
  { level = 'error', tags, extra }: CaptureOptions = {},
  handled?: boolean,
): void => {
  const exception = exceptionsOf(thrown, type, handled)
  const key = encode(exception)
  const now = performance.now()
  if (now - lastTime > Limit.Quiet) count = 0
  else if (key === last) return
  last = key
  lastTime = now
  if (++count > Limit.Errors) {
    report('drop', [], 'full')
    return
  }
  emit('error', {
    ...scope,
    level,
    message: exception[0]?.value,
    exception,
    tags: { ...(scope.tags as object), ...tags },
    extra,
  })
}

/** Errors that nobody caught, resources that did not load, and what a content policy blocked. */
export const errors = (): void => {
  if (!wants('errors')) return
  listen<ErrorEvent>(window, 'error', ({ target, error, message, filename, lineno, colno }) => {
    const { localName, currentSrc, src, href } = target as HTMLImageElement & HTMLLinkElement
    const stack = '@' + filename + ':' + lineno + ':' + colno
    if (!localName) capture(error ?? { message, stack }, 'error')
    else {
      const failed = { name: 'ResourceError', message: localName + ' failed: ' + (currentSrc || src || href) }
      capture(failed, 'resource', {
        level: 'warning',
        extra: { selector: selectorOf(target as Element) },
      })
    }
  })
  listen<PromiseRejectionEvent>(window, 'unhandledrejection', ({ reason }) =>
    capture(reason, 'unhandledrejection'),
  )
  listen<SecurityPolicyViolationEvent>(document, 'securitypolicyviolation', (event) => {
    // Our own requests would be told by more of them.
    if (event.blockedURI.startsWith(config.endpoint as string)) return
    const message = event.effectiveDirective + ' blocked ' + event.blockedURI
    const stack = '@' + event.sourceFile + ':' + event.lineNumber + ':' + event.columnNumber
    capture({ name: 'CSPViolation', message, stack }, 'csp', { level: 'warning' })
  })
}

const merge = (name: string, more: object): void => {
  scope[name] = { ...(scope[name] as object), ...more }
}

/** The calls around errors. */
export const errorCalls: Partial<Api> = {
  captureException: (error, options) => capture(error, 'generic', options, true),
  captureMessage: (message, level = 'info') => emit('message', { ...scope, level, message: '' + message }),
  addBreadcrumb: addCrumb,
  setTag: (name, value) => merge('tags', { [name]: value }),
  setTags: (tags) => merge('tags', tags),
  setContext: (name, context) => merge('contexts', { [name]: context }),
  setUser(user) {
    scope.user = user
  },
}
