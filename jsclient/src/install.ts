import type { Config } from './types'

/** Settings of a script tag: its query parameters, then its attributes; the endpoint is where it came from. */
export const configOf = (script: HTMLScriptElement): Config => {
  const { origin, pathname, searchParams } = new URL(script.src)
  return {
    endpoint: origin + pathname.replace(/\/(v1\/)?[^/]*$/, ''),
    ...Object.fromEntries(searchParams),
    ...script.dataset,
  } as unknown as Config
}

/** Puts a client on the page as `headlessly` and `hly`, and makes the calls that the stub has kept. */
export const install = (client: object): void => {
  const page = window as unknown as Record<string, { q?: [string, unknown[]][] }>
  const script = (document.currentScript ||
    document.querySelector('script[data-tenant]')) as HTMLScriptElement
  const calls = client as Record<string, (...args: unknown[]) => void> & { init(config: Config): void }
  const kept = page.headlessly?.q
  page.headlessly = page.hly = client
  // Without an address the page calls init; the first error that a page throws costs it milliseconds, also when it is caught.
  if (script?.src) calls.init(configOf(script))
  for (const [name, args] of kept || []) calls[name]?.(...args)
}
