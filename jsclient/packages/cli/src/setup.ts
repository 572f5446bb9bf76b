import { readFileSync } from 'node:fs'
import { Headlessly } from '@headlessly/sdk'
import type { Target } from './arguments.js'
import { ask, secret } from './ask.js'
import { UsageError } from './errors.js'
import type { Flags } from './flags.js'
import { write } from './show.js'
import { follow } from './stream.js'
import { forgetLogin, keepLogin, loginFile, type Resolved } from './target.js'

/** Keeps a gateway's address, tenant and key, after a look whether they work. */
export async function login(target: Target, { values, on }: Flags): Promise<void> {
  if (on.has('out')) {
    forgetLogin()
    return write('logged out\n')
  }
  const url = (target.url ?? process.env['HEADLESSLY_URL'] ?? '').replace(/\/+$/, '')
  const tenant = target.tenant ?? process.env['HEADLESSLY_TENANT'] ?? ''
  if (!url || !tenant) {
    throw new UsageError(
      'name the gateway: headlessly login --url https://control.example.com --tenant my-startup',
    )
  }
  const file = values['key-file']
  const key = file
    ? readFileSync(file === '-' ? 0 : file, 'utf8').trim()
    : (process.env['HEADLESSLY_API_KEY'] ?? (await secret('secret key (hly_sk_…): ', 'read the key')))
  if (!/^hly_(sk|admin)_/.test(key)) {
    throw new UsageError('that is no secret key: it begins with hly_sk_')
  }
  try {
    await Headlessly({ url, tenant, apiKey: key, retries: 0 }).status()
  } catch (error) {
    throw new Error(`the gateway does not take it: ${(error as Error).message}`)
  }
  keepLogin({ url, tenant, secretKey: key })
  write(`logged in to ${url} as ${tenant}; kept in ${loginFile()}\n`)
}

/** Prints the line to paste for a site, and waits for the site's first event. */
export async function init(gateway: Resolved, { values }: Flags): Promise<void> {
  const site = values['site'] ?? (await ask("Your site's address (https://…): "))
  const host = siteHost(site)
  const wait = duration(values['wait'] ?? '5m')
  const { publicUrl } = (await gateway.client.status()) as { publicUrl: string }
  write(
    `Paste this into the <head> of every page of ${host}:\n\n  <script src="${publicUrl}/v1" data-tenant="${gateway.tenant}"></script>\n\n`,
  )
  if (wait <= 0) return
  write(`Then open the site. Waiting ${values['wait'] ?? '5m0s'} for its first event (Ctrl-C ends it) …\n`)
  const signal = AbortSignal.timeout(wait)
  try {
    for await (const { data } of follow(gateway, 'events/live', signal)) {
      const e = JSON.parse(data) as { type?: string; event?: string; url?: string }
      if (!e.url || !URL.canParse(e.url) || new URL(e.url).host.toLowerCase() !== host) continue
      return write(
        `\nIt works: ${e.type} ${e.event} arrived from ${e.url}.\nAsk for more: headlessly sql "select event, count(*) from events group by 1"\n`,
      )
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  throw new Error(
    `no event of ${host} in ${values['wait'] ?? '5m0s'}. Look in the browser's console and network panel for ${publicUrl}/v1; a content security policy must allow it in script-src and connect-src; headlessly doctor looks at the gateway's side`,
  )
}

function siteHost(site: string): string {
  const text = site.includes('://') ? site : 'https://' + site
  if (!/^https?:\/\/[^/]/.test(text) || !URL.canParse(text)) {
    throw new UsageError(`"${text}" is no address of a site: it looks like https://my-startup.example`)
  }
  return new URL(text).host.toLowerCase()
}

/** Milliseconds of a Go duration: 5m, 90s, 0. */
function duration(text: string): number {
  const unit: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
  if (text === '0') return 0
  if (parts.map((p) => p[0]).join('') !== text || !parts.length) {
    throw new UsageError(`--wait ${text}: a time looks like 90s or 5m`)
  }
  return parts.reduce((sum, [, n, u]) => sum + Number(n) * (unit[u ?? ''] ?? 0), 0)
}
