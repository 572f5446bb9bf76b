import { config, guard, keyOf, on, page } from './core'
import { timeZone, uuid7 } from './ids'
import { get, keysOf, set } from './store'
import type { EventFields } from './types'

// What the page-view build has instead of emit.ts and the modules behind it:
// the same storage keys, ids and wire format, so that a site may use both
// builds, without consent dialogues, batching or a writer for hostile values.

declare const VERSION: string

const enum Limit {
  Idle = 18e5,
  UnderWay = 15e3,
  /** As long as an answer is in doubt: less than the gateway knows ids for. */
  Doubt = 7e7,
  /** Batches kept at most; one is below a kilobyte as a rule. */
  Batches = 99,
}

/** Sends a stored batch; it stays, with the time, until it is answered for good. */
const send = guard((name: string): void => {
  const { tenant, endpoint, key: publicKey } = config
  const [, ids, body] = get(name).split('\n')
  const keep = (sign: number): void => set(name, [sign * Date.now(), ids, body].join('\n'))
  keep(-1)
  fetch(endpoint + '/e?t=' + tenant + '&key=' + (publicKey || ''), {
    method: 'POST',
    body: '{"sentAt":' + Date.now() + ',' + body,
    keepalive: true,
    credentials: 'omit',
  }).then(
    ({ status }) => (status === 429 || status > 499 ? keep(1) : set(name, '')),
    () => keep(1),
  )
})

/** Whether anything may be captured and stored. */
const allowed = (): boolean => {
  const { globalPrivacyControl: gpc, doNotTrack: dnt } = navigator as Navigator & {
    globalPrivacyControl?: boolean
  }
  const kept = get(keyOf('c_'))
  return kept
    ? /^"g|analytics":(t|"g)/.test(kept)
    : !gpc && dnt !== '1' && (config.consent ?? 'granted') === 'granted'
}

/** Take an event: it is stored and sent at once. */
export const emit = guard((type: string, fields: EventFields = {}): void => {
  if (!config.tenant) {
    // Rendered ahead: once somebody sees it.
    document.addEventListener('prerenderingchange', () => emit(type, fields))
    return
  }
  if (!allowed()) return
  const cookieless = on(config.cookieless)
  const ts = Date.now()
  const visitor = JSON.parse(get(keyOf('')) || '{}')
  const began = !visitor.s || Math.abs(ts - visitor.t) > Limit.Idle
  visitor.a ||= uuid7(ts)
  visitor.t = ts
  if (began) {
    visitor.s = uuid7(ts)
    visitor.n = (visitor.n || 0) + 1
  }
  if (fields.userId) visitor.u = fields.userId
  set(keyOf(''), JSON.stringify(visitor))
  const events = (began && !cookieless ? ['session', type] : [type]).map((kind, i, { length }) => ({
    messageId: uuid7(ts),
    type: kind,
    ts,
    ...(!cookieless && { anonymousId: visitor.a, sessionId: visitor.s }),
    userId: visitor.u,
    url: location.href,
    path: location.pathname,
    referrer: page._before ?? document.referrer,
    title: document.title,
    ...(i === length - 1 ? fields : { properties: { number: visitor.n } }),
  }))
  const context = {
    cookieless,
    library: { name: '@headlessly/js', version: VERSION },
    locale: navigator.language,
    timezone: timeZone(),
    screen: { width: screen.width, height: screen.height },
    viewport: { width: innerWidth, height: innerHeight },
  }
  const name = keyOf('q_') + '_' + uuid7(ts)
  set(
    name,
    '-' +
      ts +
      '\n' +
      events.map(({ messageId }) => messageId) +
      '\n' +
      JSON.stringify({ context, events }).slice(1),
  )
  send(name)
})

/** Send what earlier pages could not: the newest, what the gateway still knows the ids of, and nothing against the visitor's will. */
export const drain = (): void =>
  keysOf(keyOf('q_') + '_')
    .reverse()
    .forEach((name, i) => {
      const time = Number.parseInt(get(name), 10)
      // Of one that failed the time is positive, and this beyond every limit.
      const age = Date.now() + time
      if (i > Limit.Batches || !allowed() || (time < 0 && age > Limit.Doubt)) set(name, '')
      else if (age > Limit.UnderWay) send(name)
    })

/** Capture nothing from now on, here and on later pages. */
export const optOut = (): void => set(keyOf('c_'), '"denied"')
