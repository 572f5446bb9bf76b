import type { TypeInfo } from './arguments.js'
import type { Shape } from './flags.js'

export const overview = `headlessly: every verb of every entity, SQL and live events of a headless.ly gateway.

Everything of the entity graph is called Type.verb:
  headlessly Integration.connect --provider stripe --apiKey env:STRIPE_KEY
  headlessly Integration.find --status Active
  headlessly Contact.update contact_… --stage Customer
  headlessly Contact.create --help

COMMANDS
  sql QUERY            ask SQL of the tenant's own data
  search TYPE          find entities, as an agent does
  fetch TYPE [ID]      read an entity, a Schema, the Status or a Metric
  do CODE              run TypeScript with $ on the gateway
  tail                 watch events arrive, and what comes of them
  trace ID             where one event went, when, and with what answer
  deliveries           attempts at destinations and what came of them
  replay               send past events to a destination again
  status               health of integrations, deliveries and lakehouse
  login                keep a gateway's address and key
  init                 put the script on a site, and see the first event arrive
  doctor               check gateway, clock, key and providers
  completion SHELL     completion for bash, zsh or fish

The gateway is found by --url and --tenant, HEADLESSLY_URL, HEADLESSLY_TENANT and HEADLESSLY_API_KEY, the folder
./headlessly-data, or the last login. Output: --table, --json or --yaml.
`

/** What one of the commands takes. */
export function helpOfCommand(shape: Shape): string {
  const line = overview.split('\n').find((l) => l.startsWith(`  ${shape.command} `)) ?? `  ${shape.command}`
  const [call = '', purpose = ''] = line.trim().split(/ {2,}/)
  const flags = [...(shape.switches ?? []), ...(shape.values ?? []).map((name) => `${name} VALUE`)]
  return (
    `${purpose}\n\nUSAGE\n  headlessly ${call} [flags]\n\nFLAGS\n` +
    [...flags, 'url URL', 'tenant TENANT', 'data FOLDER'].map((flag) => `  --${flag}\n`).join('')
  )
}

/** What a call takes, with examples that fit the verb. */
export function helpOf(name: string, verb: string, type: TypeInfo | undefined): string {
  const id = `${name.toLowerCase()}_…`
  const usages = usagesOf(name, verb, type, id).map(
    (u) => `  headlessly [--url URL] [--tenant TENANT] [--data FOLDER] ${u}\n`,
  )
  const examples = examplesOf(name, verb, type, id).map((e) => `  headlessly ${e}\n`)
  return (
    `${purpose(name, verb, type)}\n\nUSAGE\n${usages.join('')}` +
    `
VALUES
  --field value     as the field is declared; lists with commas, JSON for the rest
  --field @file     from a file; @- from standard input; @@x for a text that begins with @
  --field env:NAME  from the environment, so that a secret stays out of the shell's history
  --secret          a credential without a value is asked for, unseen
  --a.b value       a field within a field

OUTPUT
  --table, --json or --yaml; a table on a terminal, JSON otherwise

EXAMPLES
${examples.join('')}
` +
    (type?.help ??
      `${name} is no built-in type; the gateway knows the fields of your own types: headlessly fetch Schema ${name}\n`)
  )
}

function purpose(name: string, verb: string, type: TypeInfo | undefined): string {
  switch (verb) {
    case 'find':
      return `Find entities of type ${name}.`
    case 'count':
      return `Count entities of type ${name}.`
    case 'get':
      return `Read one ${name}, as it is or as it was.`
    case 'history':
      return `List what happened to one ${name}, oldest first.`
  }
  const event = type?.verbs[verb]?.event
  return event ? `Does ${name}.${event}.` : `${name}.${verb}`
}

function usagesOf(name: string, verb: string, type: TypeInfo | undefined, id: string): string[] {
  const call = `${name}.${verb}`
  switch (verb) {
    case 'find':
    case 'count':
      return [
        `${call} [--field value]… [--filter JSON] [--sort -$createdAt] [--limit 25] [--cursor …] [--include field] [--fields a,b] [--asOf TIME]`,
      ]
    case 'get':
      return [`${call} ${id} [--include field] [--fields a,b] [--asOf TIME]`]
    case 'history':
      return [`${call} ${id}`]
    case 'create':
      return [`${call} [--field value]…`]
    case 'delete':
      return [`${call} ${id} [--if-version N]`]
    case 'rollback':
      return [`${call} ${id} [--version N | --asOf TIME]`]
  }
  if (type?.verbs[verb]?.creates) return [`${call} [--field value]…`, `${call} ${id} [--field value]…`]
  return [`${call} ${id} [--field value]… [--if-version N]`]
}

function examplesOf(name: string, verb: string, type: TypeInfo | undefined, id: string): string[] {
  const call = `${name}.${verb}`
  if (call === 'Integration.connect') {
    return [
      `${call} --provider stripe --apiKey env:STRIPE_KEY`,
      `${call} --provider github --token @token.txt`,
      `${call} --provider slack --webhook env:SLACK_WEBHOOK`,
      `${call} --provider webhook --url https://example.com/hooks --events Deal.Closed,Subscription.*`,
      `${call} --provider analytics --ga G-XXXXXXXXXX        # with GA_API_SECRET, SENTRY_DSN, POSTHOG_KEY set, those too`,
    ]
  }
  switch (verb) {
    case 'find':
      return [
        `${call} --limit 5 --sort -$createdAt`,
        `${call} --filter '{"$or":[{"status":"Active"},{"status":"Errored"}]}' --json`,
        `${call} --asOf 2026-01-01`,
      ]
    case 'count':
      return [call, `${call} --asOf 2026-01-01`]
    case 'get':
    case 'history':
    case 'delete':
      return [`${call} ${id}`]
    case 'rollback':
      return [`${call} ${id} --version 2`]
    case 'create':
    case 'update':
      return [
        (verb === 'update' ? `${call} ${id}` : call) + sample(type, verb === 'create'),
        `${call} --field @file.txt --yaml`,
      ]
  }
  return [`${call} ${id}`]
}

/** Arguments that make an example: what is required, or one enumeration. */
function sample(type: TypeInfo | undefined, required: boolean): string {
  let out = ''
  for (const [name, field] of Object.entries(type?.fields ?? {})) {
    if (!required && field.kind === 'enum') return ` --${name} ${field.last}`
    if (required && field.required) {
      out += field.kind === 'int' || field.kind === 'number' ? ` --${name} 100` : ` --${name} '…'`
    }
  }
  return out
}
