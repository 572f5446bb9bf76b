import { consent } from './consent'
import { config, guard, on } from './core'
import { encode } from './encode'
import { current, type Touch } from './visitor'

declare const VERSION: string

/** The campaign in an address, if there is one: utm_campaign is its name, utm_source its source, a click id itself. */
export const campaignOf = (url: string, referrer: string): Touch | undefined => {
  const touch: Touch = {}
  for (const [key, value] of new URL(url).searchParams) {
    const [, utm, click] = /^utm_(\w+)$|^((g|fb|tt|tw)clid|msclkid|[gw]braid|li_fat_id)$/.exec(key) || []
    if (utm || click) touch[utm === 'campaign' ? 'name' : utm || key] = value.slice(0, 200)
  }
  return Object.keys(touch)[0] ? { ...touch, referrer } : undefined
}

/**
 * Google's ids from its cookies: `_ga=GA1.<n>.<client id>`, and per stream
 * `_ga_<stream>=GS1.1.<session>.<number>…` or `GS2.1.s<session>$o<number>$…`.
 */
export const googleIds = guard((): object | undefined => {
  const part = (pattern: RegExp, text?: string): string | undefined => pattern.exec(text as string)?.[1]
  const { cookie } = document
  const clientId = part(/\b_ga=GA\d\.\d\.(\d+\.\d+)/, cookie)
  const stream = part(/\b_ga_\w+=GS\d\.\d\.([^;]+)/, cookie)
  return (
    (clientId as never) && {
      clientId,
      sessionId: part(/(?:^|\$)s?(\d+)/, stream),
      sessionNumber: part(/(?:^\d+\.|(?:^|\$)o)(\d+)/, stream),
    }
  )
})

/** What every batch says of the browser. */
export const context = (): string => {
  const { f, l, c, z } = current()
  const { width, height } = screen
  const cookieless = on(config.cookieless)
  return encode({
    library: { name: '@headlessly/js', version: VERSION },
    locale: navigator.language,
    timezone: z,
    screen: { width, height },
    viewport: { width: innerWidth, height: innerHeight },
    cookieless,
    ga: cookieless ? undefined : googleIds(),
    integrations: { ga: config.ga, sentry: config.sentryDsn, posthog: config.posthogKey },
    campaign: c,
    firstTouch: f,
    lastTouch: l,
    consent: consent(),
  })
}
