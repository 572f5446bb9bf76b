import { type Consent, googleConsent } from './consent'
import { encode } from './encode'
import type { Touch, Visitor } from './state'
import { type Config, on } from './types'

declare const VERSION: string

const CLICK_IDS = 'gclid gbraid wbraid fbclid msclkid ttclid twclid li_fat_id'.split(' ')

/** The campaign in the address, if there is one. */
export const campaignOf = (search: string, referrer: string): Touch | undefined => {
  const touch: Touch = {}
  for (const [key, value] of new URLSearchParams(search)) {
    if (key.startsWith('utm_') || CLICK_IDS.includes(key)) touch[key] = value.slice(0, 200)
  }
  if (!Object.keys(touch)[0]) return
  touch.referrer = referrer.slice(0, 300)
  return touch
}

/**
 * Google's ids from its cookies: `_ga=GA1.<n>.<client id>`, and per stream
 * `_ga_<stream>=GS1.1.<session>.<number>…` or `GS2.1.s<session>$o<number>$…`.
 */
const googleIds = (cookie: string): object | undefined => {
  const client = /(?:^|; )_ga=GA\d\.\d\.(\d+\.\d+)/.exec(cookie)
  if (!client) return
  const session = /(?:^|; )_ga_\w+=GS\d\.\d\.(?:(\d+)\.(\d+)|([^;]+))/.exec(cookie)
  const part = (letter: string): string | undefined =>
    new RegExp('(?:^|\\$)' + letter + '(\\d+)').exec(session?.[3] || '')?.[1]
  return {
    clientId: client[1],
    sessionId: session?.[1] || part('s'),
    sessionNumber: session?.[2] || part('o'),
  }
}

/** What every batch says of the browser, as `"context":{…}`. */
export const contextText = (config: Config, visitor: Visitor, consent: Consent | undefined): string => {
  const { ga, sentryDsn, posthogKey } = config
  const google = googleConsent()
  const own = typeof consent === 'string' ? { analytics: consent } : consent
  const last = visitor.l
  return (
    '"context":' +
    encode({
      library: { name: '@headlessly/js', version: VERSION },
      locale: navigator.language,
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      screen: { width: screen.width, height: screen.height },
      viewport: { width: innerWidth, height: innerHeight },
      cookieless: on(config.cookieless) || undefined,
      ga: on(config.cookieless) ? undefined : googleIds(document.cookie),
      integrations:
        ga || sentryDsn || posthogKey ? { ga, sentry: sentryDsn, posthog: posthogKey } : undefined,
      campaign: last && {
        source: last.utm_source,
        medium: last.utm_medium,
        name: last.utm_campaign,
        term: last.utm_term,
        content: last.utm_content,
      },
      firstTouch: visitor.f,
      lastTouch: last,
      consent: Object.keys(google)[0] ? { ...google, ...own } : consent,
    })
  )
}
