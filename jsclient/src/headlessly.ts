import { createApi } from './client'
import { type Core, type Feature, guard } from './core'
import type { Api, Config } from './types'

/** The calls that work before `init`; the others wait for it. */
const EARLY = ['init', 'on', 'debug']
const MAX_EARLY = 200

/** Makes the calls of a client: none throws, and those before `init` are kept and made in order after it. */
export const assemble = (
  target: object,
  features: Feature[],
  more: ((core: Core) => Partial<Api>)[],
): void => {
  const [api, core] = createApi(features)
  for (const make of more) Object.assign(api, make(core))
  let waiting: [(...args: never[]) => unknown, never[]][] | undefined = []
  const calls = api as Record<string, (...args: never[]) => unknown>
  for (const name of Object.keys(calls)) {
    const call = guard(calls[name] as (...args: never[]) => unknown)
    ;(target as Record<string, unknown>)[name] = (...args: never[]) => {
      if (!waiting || EARLY.includes(name)) {
        const result = call(...args)
        if (name === 'init' && core._config && waiting) {
          const replay = waiting
          waiting = undefined
          for (const [fn, given] of replay) fn(...given)
        }
        return result
      }
      if (waiting.length < MAX_EARLY) waiting.push([call, args])
      return /flush|shutdown/.test(name) ? Promise.resolve() : /^get/.test(name) ? '' : undefined
    }
  }
}

/** Settings of a script tag: its query parameters, then its attributes; the endpoint is where it came from. */
export const configOf = (script: HTMLScriptElement): Config => {
  const url = new URL(script.src, location.href)
  const base = url.origin + url.pathname.replace(/\/(v1(\.js|\/[^/]*)?|[^/]*)$/, '')
  return { endpoint: base, ...Object.fromEntries(url.searchParams), ...script.dataset } as unknown as Config
}

/** Puts the client on the page as `headlessly` and `hly`, and makes the calls that the stub has kept. */
export const install = (target: object): void => {
  const global = window as unknown as Record<
    string,
    { q?: [string, unknown[]][]; init(config: Config): void }
  >
  const script = (document.currentScript ||
    document.querySelector('script[data-tenant]')) as HTMLScriptElement | null
  const early = global.headlessly?.q
  global.headlessly = global.hly = target as never
  const calls = target as Record<string, (...args: unknown[]) => void>
  const config = script && configOf(script)
  if (config?.tenant) calls.init?.(config)
  for (const [name, args] of Array.isArray(early) ? early : []) calls[name]?.(...args)
}
