import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Client, Headlessly } from '@headlessly/sdk'
import type { Target } from './arguments.js'
import { UsageError } from './errors.js'

/** What a data folder or a login holds. */
export interface Credentials {
  url: string
  tenant: string
  secretKey: string
  adminKey?: string
}

/** Where a login is kept: the user's configuration folder, the Go command's place. */
export function loginFile(): string {
  const base =
    process.platform === 'win32'
      ? (process.env['AppData'] ?? homedir())
      : process.platform === 'darwin'
        ? join(homedir(), 'Library/Application Support')
        : (process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config'))
  return join(base, 'headlessly', 'login.json')
}

export function keepLogin(credentials: Credentials): void {
  mkdirSync(dirname(loginFile()), { recursive: true, mode: 0o700 })
  writeFileSync(loginFile(), JSON.stringify(credentials, null, 2) + '\n', { mode: 0o600 })
}

export function forgetLogin(): void {
  rmSync(loginFile(), { force: true })
}

function read(path: string): Credentials | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

/** A gateway that is known whole. */
export interface Resolved {
  url: string
  tenant: string
  apiKey: string
  client: Client
}

/**
 * Completes a target: flags, then the environment, then the credentials in the data folder, then those of the last
 * login. The key is never a flag, so that it stays out of the shell's history.
 */
export function resolve(target: Target): Resolved {
  const env = process.env
  const folder = target.data ?? './headlessly-data'
  let url = target.url || env['HEADLESSLY_URL'] || ''
  let tenant = target.tenant || env['HEADLESSLY_TENANT'] || ''
  let apiKey = env['HEADLESSLY_API_KEY'] ?? ''
  let known = read(join(folder, 'credentials.json'))
  if (!known) {
    const login = read(loginFile())
    if (login && (!url || url === login.url)) known = login
  }
  if (!known && !url) {
    throw new Error(
      `no gateway found: there is none in ${folder} (use --data, headlessly login, or --url with HEADLESSLY_API_KEY)`,
    )
  }
  url ||= known?.url ?? ''
  tenant ||= known?.tenant ?? ''
  if (!apiKey && known) {
    apiKey = tenant !== known.tenant && known.adminKey ? known.adminKey : known.secretKey
  }
  if (!tenant) throw new UsageError('no tenant: use --tenant or HEADLESSLY_TENANT')
  if (!apiKey) throw new UsageError('no key: set HEADLESSLY_API_KEY to a secret key (hly_sk_…)')
  url = url.replace(/\/+$/, '')
  return { url, tenant, apiKey, client: Headlessly({ url, tenant, apiKey, retries: 0 }) }
}
