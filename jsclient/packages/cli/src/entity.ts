import type { Call, Client } from '@headlessly/sdk'
import { at, type Input, put, readArguments, type Target, type TypeInfo } from './arguments.js'
import { UsageError } from './errors.js'
import { helpOf } from './help.js'
import { entitiesTable, entityTable, formatOf, historyTable, show, write } from './show.js'
import { resolve } from './target.js'
import { types } from './types.gen.js'

/** How a call on the entity graph begins. */
const form = /^([A-Z][A-Za-z0-9]*)\.([A-Za-z][A-Za-z0-9]*)$/

/** Finds Type.verb: what stands before it are flags of the target, what stands behind it belongs to the call. */
export function entityCall(args: string[]): number {
  for (let i = 0; i < args.length; i++) {
    const a = args[i] ?? ''
    if (form.test(a)) return i
    if (!a.startsWith('--')) return -1
    if (/^--(data|url|tenant)$/.test(a)) i++ // its value
  }
  return -1
}

/** The variables that Integration.connect takes a provider's credentials from where the call names none. */
const providerSecrets: Record<string, [string, string][]> = {
  stripe: [['apiKey', 'STRIPE_KEY']],
  github: [['token', 'GITHUB_TOKEN']],
  slack: [['webhook', 'SLACK_WEBHOOK']],
  webhook: [['secret', 'WEBHOOK_SECRET']],
  analytics: [
    ['destinations.ga.measurementId', 'GA_ID'],
    ['destinations.ga.apiSecret', 'GA_API_SECRET'],
    ['destinations.sentry.dsn', 'SENTRY_DSN'],
    ['destinations.posthog.apiKey', 'POSTHOG_KEY'],
  ],
}

/** Flags of the target that stand before a command. */
export function targetOf(args: string[]): Target {
  const target: Target = {}
  for (let i = 0; i < args.length; i++) {
    const [name, given] = (args[i] ?? '').split(/=(.*)/s)
    const value = given ?? args[++i]
    if (value === undefined) throw new UsageError(`${name} needs a value`)
    if (name === '--data') target.data = value
    else if (name === '--url') target.url = value
    else if (name === '--tenant') target.tenant = value
    else throw new UsageError(`unknown flag: ${name}`)
  }
  return target
}

/** Runs Type.verb. */
export async function runEntity(args: string[], place: number): Promise<void> {
  const [, name = '', verb = ''] = form.exec(args[place] ?? '') ?? []
  const type = types[name]
  const target = targetOf(args.slice(0, place))
  let input: Input
  try {
    input = await readArguments(args.slice(place + 1), name, type, target)
  } catch (error) {
    if (error instanceof UsageError) {
      throw new UsageError(`${error.message}\nSee: headlessly ${name}.${verb} --help`)
    }
    throw error
  }
  if (input.help) return write(helpOf(name, verb, type))
  if (type && !reads.has(verb) && !type.verbs[verb]) throw new UsageError(unknownVerb(name, verb, type))
  const format = formatOf(input.formats)
  const { client } = resolve(target)
  await run(client, name, verb, type, input, format)
}

const reads = new Set(['find', 'get', 'count', 'history'])

function unknownVerb(name: string, verb: string, type: TypeInfo): string {
  const close = Object.keys(type.verbs).find((v) => distance(v, verb) <= 2)
  return `${name} has no verb "${verb}"${close ? `; did you mean "${close}"?` : ''}`
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

async function run(
  client: Client,
  name: string,
  verb: string,
  type: TypeInfo | undefined,
  input: Input,
  format: string,
): Promise<void> {
  const headers: Record<string, string> = input.ifVersion ? { 'If-Match': `"${input.ifVersion}"` } : {}
  const path = (tail = '') => {
    if (!input.id) {
      throw new UsageError(`${name}.${verb} needs an id: headlessly ${name}.${verb} ${name.toLowerCase()}_…`)
    }
    return `${name}/${encodeURIComponent(input.id)}${tail}`
  }
  const answer = async (method: Call['method'], path: string, more: Partial<Call> = {}) => {
    const entity = await client.request<Record<string, unknown>>({ method, path, headers, ...more })
    show(format, () => entityTable(type, entity), entity)
  }
  switch (verb) {
    case 'find':
      return find(client, name, type, input, format)
    case 'count': {
      const { count } = await client.request<{ count: number }>({
        method: 'GET',
        path: `${name}/count`,
        query: texts(input.fields),
      })
      return show(format, () => `${count}\n`, { count })
    }
    case 'get': {
      const { include, fields, asOf } = input.fields
      return answer('GET', path(), { query: texts({ include, fields, asOf }) })
    }
    case 'history': {
      path() // it needs an id
      const events = await client.type(name).history(input.id ?? '')
      return show(format, () => historyTable(events as unknown as Record<string, unknown>[]), events)
    }
    case 'delete':
      return answer('DELETE', path())
    case 'update':
      return answer('PATCH', path(), { body: input.fields })
    case 'create':
      return answer('POST', name, { body: input.fields })
  }
  if (input.id) return answer('POST', path(`/${verb}`), { body: input.fields })
  if (verb === 'connect') environment(input.fields)
  return answer('POST', `${name}/${verb}`, { body: input.fields })
}

async function find(
  client: Client,
  name: string,
  type: TypeInfo | undefined,
  input: Input,
  format: string,
): Promise<void> {
  const page = await client.request<{
    results: Record<string, unknown>[]
    total: number
    hasMore: boolean
    cursor?: string
  }>({ method: 'GET', path: name, query: texts(input.fields) })
  const { fields } = input.fields
  const columns = typeof fields === 'string' ? fields.split(',') : undefined
  show(
    format,
    () =>
      entitiesTable(type, page.results, columns) +
      (page.hasMore ? `${page.results.length} of ${page.total}; go on with --cursor ${page.cursor}\n` : ''),
    page,
  )
}

/** Values as parameters of a URL. */
function texts(fields: Record<string, unknown>): Record<string, string | undefined> {
  const text = (v: unknown): string =>
    Array.isArray(v) ? v.map(text).join(',') : typeof v === 'object' ? JSON.stringify(v) : String(v)
  return Object.fromEntries(
    Object.entries(fields).map(([k, v]) => [k, v === undefined ? undefined : text(v)]),
  )
}

/** Adds what the call left to the environment. GA's secret alone connects nothing. */
function environment(fields: Record<string, unknown>): void {
  for (const [path, variable] of providerSecrets[String(fields['provider'])] ?? []) {
    const value = process.env[variable]
    const alone = variable === 'GA_API_SECRET' && at(fields, 'destinations.ga.measurementId') === undefined
    if (value && at(fields, path) === undefined && !alone) put(fields, path, value)
  }
}
