import { type Feature, listen } from './core'
import type { EventFields } from './types'

/** Time without any sign of the visitor after which nobody is reading any more. */
const IDLE_MS = 6e4

/**
 * Page leaves: how long the page was looked at, and how far down. Told when the
 * page is hidden, left or replaced; told again only for what came after.
 */
export const leave: Feature = (core) => {
  if (!core._wants('pageviews')) return
  let engaged = 0
  let since = 0
  let seen = 0
  let depth = 0
  let told = -1

  const looking = (): boolean => document.visibilityState === 'visible' && document.hasFocus()
  /** Add up the time until now; go on counting if somebody looks. */
  const count = (): void => {
    const now = performance.now()
    if (since) engaged += Math.max(0, Math.min(now, seen + IDLE_MS) - since)
    since = looking() ? now : 0
  }
  const sign = (): void => {
    const now = performance.now()
    if (!since || now - seen > IDLE_MS) count()
    seen = now
  }
  const measure = (): void => {
    const { scrollHeight } = document.documentElement
    depth = Math.max(depth, Math.min(100, Math.round(((scrollY + innerHeight) / (scrollHeight || 1)) * 100)))
  }
  const tell = (at?: EventFields): void => {
    count()
    if (told >= 0 && engaged - told < 1000) return
    if (!depth) measure()
    core._emit('pageleave', {
      ...at,
      properties: { engagedMs: Math.round(engaged - Math.max(told, 0)), scrollDepth: depth },
    })
    told = engaged
  }
  const restart = (): void => {
    engaged = depth = 0
    told = -1
    since = 0
    seen = performance.now()
    count()
  }

  restart()
  listen(window, 'focus blur', (event) => {
    if (event.target === window) sign()
    count()
  })
  listen(document, 'visibilitychange pointerdown keydown pointermove wheel touchstart', sign)
  listen(document, 'scroll', () => {
    sign()
    measure()
  })
  core._onHide(() => tell())
  core._onPage((at) => {
    tell(at)
    restart()
  })
}
