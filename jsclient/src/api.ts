import { choose, start, stop } from './consent'
import { clear, config, configure, guard, hurry, listen, report, soon, subscribe, whenSeen } from './core'
import { emit } from './emit'
import { drain, flush } from './queue'
import type { Api, Config } from './types'
import { change, current, forget } from './visitor'

/** Calls made before init. */
const early: (() => void)[] = []
const clocks: Record<string, number> = {}

/** Begin to capture; what features listen to is up to them. */
export const init = (given: Config, features: (() => void)[]): void =>
  whenSeen(() => {
    if (config.tenant || !given.tenant) return
    configure(given)
    // Reading storage blocks: not while the page is being built.
    soon(start)
    for (const feature of features) guard(feature)()
    listen(window, 'visibilitychange pagehide', ({ type }) => {
      const gone = type === 'pagehide'
      if (gone || document.hidden) {
        report('hide', gone)
        flush(true)
      }
    })
    listen(window, 'online', () => drain(true))
    for (const call of early) call()
  })

const who = (): string => {
  hurry()
  return current().u || (current().a as string)
}

/** The calls that every build has. */
export const calls: Omit<Partial<Api>, 'init'> = {
  track(event, properties) {
    const began = clocks[event]
    delete clocks[event]
    emit('track', {
      event,
      properties: began ? { durationMs: Math.round(performance.now() - began), ...properties } : properties,
    })
  },
  page: (name, properties) => emit('page', { properties: { name, ...properties } }),
  identify(userId, traits) {
    change({ u: '' + userId })
    emit('identify', { traits })
  },
  group(groupId, traits) {
    change({ g: '' + groupId })
    emit('group', { traits })
  },
  alias: (userId) => emit('alias', { userId: '' + userId, previousId: who() }),
  register: (properties) => change({ p: { ...current().p, ...properties } }),
  unregister: (name) => change({ p: { ...current().p, [name]: undefined } }),
  timeEvent(name) {
    clocks[name] = performance.now()
  },
  optIn: () => choose('granted'),
  optOut: () => choose('denied'),
  consent: choose,
  reset() {
    hurry()
    forget()
    clear()
  },
  getDistinctId: who,
  getSessionId() {
    hurry()
    return current().s || ''
  },
  flush: () => flush(),
  shutdown() {
    hurry()
    stop()
    return flush()
  },
  debug(wanted = true) {
    config.debug = wanted
  },
  on: subscribe,
}

/** Gives target the calls. None throws; those before `init` are made, in order, after it. */
export const assemble = (target: object, api: object): object => {
  for (const [name, fn] of Object.entries(api)) {
    const call = guard(fn)
    ;(target as Record<string, unknown>)[name] = (...args: unknown[]) => {
      if (config.tenant || /^(init|on)$/.test(name)) return call(...args)
      early.push(() => call(...args))
      return /^get/.test(name) ? '' : Promise.resolve()
    }
  }
  return target
}
