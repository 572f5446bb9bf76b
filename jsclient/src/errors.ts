import { addCrumb } from './breadcrumbs'
import { config, listen, scope, wants } from './core'
import { selectorOf } from './dom'
import { emit } from './emit'
import { encode } from './encode'
import { type Exception, exceptionsOf } from './stack'
import type { Api, CaptureOptions } from './types'

const enum Limit {
  /** A loop that throws must not fill the queue. */
  Errors = 100,
  Repeat = 5000,
}

let last = ''
let lastTime = 0
let count = 0

const capture = (exception: Exception[], { level = 'error', tags, extra }: CaptureOptions = {}): void => {
  const key = encode(exception)
  const now = Date.now()
  if ((key === last && Math.abs(now - lastTime) < Limit.Repeat) || ++count > Limit.Errors) return
  last = key
  lastTime = now
  emit('error', {
    ...scope,
    level,
    message: exception[0]?.value,
    exception,
    tags: { ...Object(scope.tags), ...tags },
    extra,
  })
}

/** Errors that nobody caught, resources that did not load, and what a content policy blocked. */
export const errors = (): void => {
  if (!wants('errors')) return
  listen<ErrorEvent>(window, 'error', ({ target, error, message, filename, lineno, colno }) => {
    const { localName, currentSrc, src, href } = target as HTMLImageElement & HTMLLinkElement
    const stack = '@' + filename + ':' + lineno + ':' + colno
    if (!localName) capture(exceptionsOf(error ?? { message, stack }, 'error'))
    else {
      const failed = { name: 'ResourceError', message: localName + ' failed: ' + (currentSrc || src || href) }
      capture(exceptionsOf(failed, 'resource'), {
        level: 'warning',
        extra: { selector: selectorOf(target as Element) },
      })
    }
  })
  listen<PromiseRejectionEvent>(window, 'unhandledrejection', ({ reason }) =>
    capture(exceptionsOf(reason, 'unhandledrejection')),
  )
  listen<SecurityPolicyViolationEvent>(document, 'securitypolicyviolation', (event) => {
    // Our own requests would be told by more of them.
    if (event.blockedURI.startsWith(config.endpoint as string)) return
    const message = event.effectiveDirective + ' blocked ' + event.blockedURI
    const stack = '@' + event.sourceFile + ':' + event.lineNumber + ':' + event.columnNumber
    capture(exceptionsOf({ name: 'CSPViolation', message, stack }, 'csp'), { level: 'warning' })
  })
}

const merge = (name: string, more: object): void => {
  scope[name] = { ...Object(scope[name]), ...more }
}

/** The calls around errors. */
export const errorCalls: Partial<Api> = {
  captureException: (error, options) => capture(exceptionsOf(error, 'generic', true), options),
  captureMessage: (message, level = 'info') => emit('message', { ...scope, message: '' + message, level }),
  addBreadcrumb: addCrumb,
  setTag: (name, value) => merge('tags', { [name]: '' + value }),
  setTags: (tags) => merge('tags', tags),
  setContext: (name, context) => merge('contexts', { [name]: context }),
  setUser(user) {
    scope.user = user
  },
}
