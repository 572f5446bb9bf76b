import { listen, subscribe, wants } from './core'
import { emit } from './emit'
import type { EventFields } from './types'

const enum Limit {
  /** Time without any sign of the visitor after which nobody is reading any more. */
  Idle = 6e4,
}

let engaged = 0
let told = 0
let depth = 0
let since = 0
let seen = 0
let first: boolean

/** Add up the time until now, as far as there were signs of somebody. */
const count = (): void => {
  const now = performance.now()
  if (since) engaged += Math.max(0, Math.min(now, seen + Limit.Idle) - since)
  since = !document.hidden && document.hasFocus() ? now : 0
}
const measure = (): void => {
  const { scrollHeight } = document.documentElement
  depth = Math.max(depth, Math.min(Math.round(((scrollY + innerHeight) / scrollHeight) * 100), 100))
}
const tell = (at?: EventFields): void => {
  count()
  if (!first && engaged - told < 1000) return
  if (!depth) measure()
  emit('pageleave', { ...at, properties: { engagedMs: Math.round(engaged - told), scrollDepth: depth } })
  told = engaged
  first = false
}
const restart = (): void => {
  engaged = told = depth = 0
  first = true
  seen = performance.now()
  count()
}

/**
 * Page leaves: how long the page was looked at, and how far down. Told when the
 * page is hidden, left or replaced; told again only for what came after.
 */
export const leave = (): void => {
  if (!wants('pageviews')) return
  restart()
  listen(window, 'focus blur visibilitychange pointerdown pointermove keydown scroll', ({ type }) => {
    const now = performance.now()
    if (type === 'blur' || !since || now - seen > Limit.Idle) count()
    seen = now
    if (type === 'scroll') measure()
  })
  subscribe('hide', () => tell())
  subscribe('leave', (at: EventFields) => {
    tell(at)
    restart()
  })
}
