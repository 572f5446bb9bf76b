import { whenGranted } from './consent'
import { campaignOf } from './context'
import { config, guard, on, page, report } from './core'
import { encode } from './encode'
import { uuid7 } from './ids'
import { add, now } from './queue'
import type { EventFields } from './types'
import { current, touch } from './visitor'

const queued = (type: string, place: EventFields, fields: EventFields): void => {
  const { a, u, s, g, p } = current()
  const { cookieless, release, environment, beforeSend } = config
  let event: EventFields | null | undefined = {
    messageId: uuid7(place.ts as number),
    type,
    ...place,
    ...(!on(cookieless) && { anonymousId: a, sessionId: s }),
    userId: u,
    groupId: g,
    release,
    environment,
    ...fields,
    // A getter that throws: then without the registered ones, and encode marks what it cannot read.
    properties: guard(() => ({ ...p, ...fields.properties }))() || fields.properties,
  }
  // One that fails drops this event, and not the one that came with it.
  if (beforeSend) event = guard(beforeSend)(event)
  if (!event) return
  add(event.messageId as string, encode(event))
  report('event', event)
}

/** Take an event: who, where and when are added. */
export const emit = (type: string, fields: EventFields = {}): void => {
  const place = {
    ts: now(),
    url: location.href,
    path: location.pathname,
    referrer: page._before ?? document.referrer,
    title: document.title,
  }
  whenGranted((fields) => {
    // A script in the head runs before the title is there.
    place.title ||= document.title
    const began = touch(place.ts, campaignOf(place.url, place.referrer))
    const { s, n } = current()
    // A session's id is random: its end decides whether it is in the sample.
    if (+('0x' + (s as string).slice(-6)) / 2 ** 24 >= +(config.sample ?? 1)) return
    if (began && !on(config.cookieless)) queued('session', place, { properties: { number: n } })
    queued(type, place, fields)
  }, fields)
}
