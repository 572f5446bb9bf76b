import { type Consent, consentOf, initialConsent, type Mode, modeOf } from './consent'
import { campaignOf, contextText } from './context'
import { type Core, type Feature, guard, listen } from './core'
import { encode } from './encode'
import { uuid7 } from './ids'
import { createQueue, type Queue } from './queue'
import { createState, type State, type Visitor } from './state'
import { browserStore, memoryStore } from './store'
import { type Api, type Config, type EventFields, on } from './types'

const MAX_HELD = 200

/** The calls of one client that every build has. Nothing happens before `init`. */
export const createApi = (features: Feature[]): [Partial<Api>, Core] => {
  let config: Config
  let state: State
  let queue: Queue
  let mode: Mode
  let consent: Consent | undefined
  let stopped: boolean | undefined
  let skew = 0
  let held: EventFields[] = []
  const clocks: Record<string, number> = {}
  const hiding: ((gone: boolean) => void)[] = []
  const paging: ((left: EventFields) => void)[] = []
  const listeners: [string, (...args: never[]) => void][] = []
  const choiceKey = (): string => 'hly_c_' + config.tenant

  const report = (name: string, ...args: unknown[]): void => {
    if (on(config.debug)) console.debug('[headlessly]', name, ...args)
    for (const [wanted, fn] of listeners) {
      if (wanted === name) guard(fn)(...(args as never[]))
    }
  }

  /** Steady within a batch, even when the device's clock is set meanwhile. */
  const clock = (): number => Math.floor(skew + performance.now())

  const queued = (fields: EventFields, visitor: Visitor): void => {
    const cookieless = on(config.cookieless)
    let event: EventFields | null | undefined = {
      messageId: uuid7(fields.ts as number),
      anonymousId: cookieless ? undefined : visitor.a,
      userId: visitor.u,
      sessionId: cookieless ? undefined : visitor.s,
      groupId: visitor.g,
      release: config.release,
      environment: config.environment,
      ...fields,
      properties: { ...visitor.p, ...fields.properties },
    }
    if (config.beforeSend) event = config.beforeSend(event)
    if (!event) return
    queue._add(event.messageId as string, encode(event))
    report('event', event)
  }

  const stamped = (fields: EventFields): void => {
    const campaign = campaignOf(new URL(fields.url as string).search, core._referrer)
    const last = state._read().l
    const [visitor, began] = state._touch(
      fields.ts as number,
      campaign && encode(campaign) !== encode(last || {}) ? campaign : undefined,
    )
    const share = Number.parseInt((visitor.s as string).slice(-6), 16) / 0x1000000
    if (share >= +(config.sample ?? 1)) return
    if (began && !on(config.cookieless)) {
      queue._flush()
      const { ts, url, path, referrer, title } = fields
      queued({ type: 'session', ts, url, path, referrer, title, properties: { number: visitor.n } }, visitor)
    }
    queued(fields, visitor)
  }

  const core = {
    _scope: {},
    _referrer: document.referrer,
    _emit(type, fields) {
      if (stopped || mode === 'denied') return
      if (!queue._busy()) skew = Date.now() - performance.now()
      const complete = {
        type,
        ts: clock(),
        url: location.href,
        path: location.pathname,
        referrer: core._referrer,
        title: document.title,
        ...fields,
      }
      if (mode === 'wait') {
        if (held.length < MAX_HELD) held[held.length] = complete
      } else stamped(complete)
    },
    _wants(name) {
      const auto = config.auto ?? true
      return on(auto) && (auto === true || /^(true)?$/.test('' + auto) || ('' + auto).includes(name))
    },
    _onHide: (fn) => void hiding.push(guard(fn)),
    _onPage: (fn) => void paging.push(guard(fn)),
    _leave(left) {
      for (const fn of paging) fn(left)
    },
  } as Core

  /** Follow the consent: where things are kept, and what becomes of what waits. */
  const apply = (next: Consent | undefined): void => {
    consent = next
    mode = modeOf(next)
    const keeps = mode === 'granted' && !on(config.cookieless)
    if (mode === 'denied') {
      queue._discard()
      state._clear()
    }
    const store = keeps ? browserStore() : memoryStore()
    state._use(store)
    queue._use(store)
    if (mode === 'wait') return
    const waiting = held
    held = []
    if (mode === 'denied') return
    for (const fields of waiting) stamped(fields)
    queue._drain()
  }

  const choose = (next: Consent): void => {
    browserStore()._set(choiceKey(), typeof next === 'string' ? next : JSON.stringify(next))
    apply(next)
  }

  const hide = (event: Event): void => {
    const gone = event.type === 'pagehide'
    if (!gone && document.visibilityState !== 'hidden') return
    for (const fn of hiding) fn(gone)
    queue._flush(true)
  }

  const start = (): void => {
    state = core._state = createState('hly_' + config.tenant, memoryStore())
    queue = createQueue({
      _tenant: config.tenant,
      _url:
        (config.endpoint as string) +
        '/e?t=' +
        encodeURIComponent(config.tenant) +
        (config.key ? '&key=' + encodeURIComponent(config.key) : ''),
      _interval: +(config.flushInterval ?? 1000),
      _store: memoryStore(),
      _context: () => contextText(config, state._read(), consent),
      _clock: clock,
      _report: report,
    })
    const browser = browserStore()
    const first = initialConsent(config, browser, choiceKey())
    if (modeOf(first) === 'denied') {
      state._use(browser)
      queue._use(browser)
    }
    apply(first)
    for (const feature of features) guard(feature)(core, api as Api)
    listen(document, 'visibilitychange', hide)
    listen(window, 'pagehide', hide)
    listen(window, 'online', () => queue._resume())
  }

  const change = (fn: (visitor: Visitor) => void): void => {
    const visitor = state._read()
    fn(visitor)
    state._save(visitor)
  }

  const api: Partial<Api> = {
    init(given) {
      core._config = config = given
      start()
    },
    track(event, properties) {
      const began = clocks[event]
      delete clocks[event]
      core._emit('track', {
        event,
        properties: began ? { durationMs: Math.round(performance.now() - began), ...properties } : properties,
      })
    },
    page: (name, properties) => core._emit('page', { properties: { name, ...properties } }),
    identify(userId, traits) {
      change((visitor) => {
        visitor.u = '' + userId
      })
      core._emit('identify', { traits })
    },
    group(groupId, traits) {
      change((visitor) => {
        visitor.g = '' + groupId
      })
      core._emit('group', { traits })
    },
    alias(userId) {
      const { u, a } = state._read()
      core._emit('alias', { userId: '' + userId, previousId: u || a })
    },
    register: (properties) =>
      change((visitor) => {
        visitor.p = { ...visitor.p, ...properties }
      }),
    unregister: (name) => change((visitor) => void delete visitor.p?.[name]),
    timeEvent(name) {
      clocks[name] = performance.now()
    },
    optIn: () => choose('granted'),
    optOut: () => choose('denied'),
    consent: (choice) => choose(consentOf(choice)),
    reset() {
      queue._flush()
      state._clear()
      core._scope = {}
    },
    getDistinctId() {
      const { u, a } = state._read()
      return u || a || ''
    },
    getSessionId: () => state._read().s || '',
    flush: () => queue._flush() as Promise<void>,
    shutdown() {
      const sent = queue._flush() as Promise<void>
      stopped = true
      return sent
    },
    debug(wanted) {
      config.debug = wanted ?? true
    },
    on(name: string, fn: (...args: never[]) => void) {
      const entry: [string, (...args: never[]) => void] = [name, fn]
      listeners.push(entry)
      return () => void listeners.splice(listeners.indexOf(entry), 1)
    },
  }
  return [api, core]
}
