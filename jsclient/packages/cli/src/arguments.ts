import { readFileSync } from 'node:fs'
import { secret } from './ask.js'
import { UsageError } from './errors.js'

/** What the command line knows of a type. */
export interface TypeInfo {
  fields: Record<string, Field>
  verbs: Record<string, { event: string; creates: boolean }>
  help: string
}

export interface Field {
  kind: string
  list: boolean
  required: boolean
  last?: string
}

/** Which gateway. */
export interface Target {
  data?: string
  url?: string
  tenant?: string
}

/** What stands behind Type.verb. */
export interface Input {
  id: string | undefined
  fields: Record<string, unknown>
  ifVersion: string | undefined
  formats: string[]
  help: boolean
}

/** The documented short names of Integration.connect's nested arguments. */
const shorthands: Record<string, string> = {
  ga: 'destinations.ga.measurementId',
  'ga-endpoint': 'destinations.ga.endpoint',
  'posthog-host': 'destinations.posthog.host',
}

const targetFlags = ['data', 'url', 'tenant'] as const

/**
 * Reads [id] [--field value]…. A flag that a field of the type has the name of is that field; --data, --url and
 * --tenant choose the gateway otherwise.
 */
export async function readArguments(
  argv: string[],
  name: string,
  type: TypeInfo | undefined,
  to: Target,
): Promise<Input> {
  const input: Input = { id: undefined, fields: {}, ifVersion: undefined, formats: [], help: false }
  for (let i = 0; i < argv.length; i++) {
    const a = argv[i] === '-h' ? '--help' : (argv[i] ?? '')
    if (!a.startsWith('--')) {
      if (input.id !== undefined) throw new UsageError(`unexpected "${a}": one id, then --field value`)
      input.id = a
      continue
    }
    const equals = a.indexOf('=')
    const flag = equals < 0 ? a.slice(2) : a.slice(2, equals)
    if (flag === 'help') {
      input.help = true
      continue
    }
    if (flag === 'json' || flag === 'yaml' || flag === 'table') {
      input.formats.push(flag)
      continue
    }
    let text = equals < 0 ? undefined : a.slice(equals + 1)
    const next = argv[i + 1]
    if (text === undefined && next !== undefined && (!next.startsWith('--') || next === '--')) {
      text = next
      i++
    }
    await set(input, name, type, to, flag, text)
  }
  return input
}

async function set(
  input: Input,
  typeName: string,
  type: TypeInfo | undefined,
  to: Target,
  flag: string,
  text: string | undefined,
): Promise<void> {
  let name = flag
  let field = type?.fields[name]
  const needed = () => {
    if (text === undefined) throw new UsageError(`--${name} needs a value`)
    return text
  }
  const target = targetFlags.find((f) => f === name)
  if (!field && target) {
    to[target] = needed()
  } else if (name === 'if-version' || name === 'ifVersion') {
    input.ifVersion = needed()
  } else if (name === 'id') {
    input.id = needed()
  } else {
    const long = shorthands[name]
    if (long && typeName === 'Integration') {
      name = long
      field = type?.fields[name]
    }
    put(input.fields, name, await argument(field, name, text))
  }
}

/**
 * A flag's value: as the field is declared, or what the text looks like where no declaration knows the field. @file
 * and @- read a file and standard input, env:NAME the environment; a credential without a value is asked for.
 */
async function argument(field: Field | undefined, name: string, given: string | undefined): Promise<unknown> {
  let text = given
  if (text === undefined && field?.kind === 'secret') {
    text = await secret(`${name}: `, `--${name} needs a value`)
  } else if (text === undefined && field && field.kind !== 'bool' && field.kind !== 'json') {
    throw new UsageError(`--${name} needs a value`)
  } else if (text === undefined) {
    return true // a switch: --active
  } else if (text === '@-') {
    text = trimmed(readFileSync(0, 'utf8'))
  } else if (text.startsWith('@@')) {
    text = text.slice(1)
  } else if (text.startsWith('@')) {
    const path = text.slice(1)
    try {
      text = trimmed(readFileSync(path, 'utf8'))
    } catch (error) {
      const why =
        (error as { code?: string }).code === 'ENOENT'
          ? 'no such file or directory'
          : (error as Error).message
      throw new UsageError(`--${name}: open ${path}: ${why}`)
    }
  } else if (text.startsWith('env:')) {
    const variable = text.slice('env:'.length)
    text = process.env[variable]
    if (!text) throw new UsageError(`--${name}: the variable ${variable} is not set`)
  }
  return typed(field, name, text)
}

const trimmed = (text: string) => text.replace(/[\r\n]+$/, '')

function typed(field: Field | undefined, name: string, text: string): unknown {
  if (!field || field.kind === 'json') return literal(text)
  if (field.kind === 'secret' && text.startsWith('{')) return literal(text) // headers
  if (field.list) {
    if (text.startsWith('[')) return literal(text)
    return text
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean)
  }
  if (text === 'null') return null
  if (field.kind === 'int' || field.kind === 'number') {
    const n = literal(text)
    if (typeof n !== 'number') throw new UsageError(`--${name}: "${text}" is no number`)
    return n
  }
  if (field.kind === 'bool') {
    if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true
    if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false
    throw new UsageError(`--${name}: "${text}" is neither true nor false`)
  }
  return text
}

/** The JSON that a text is, else the text. */
export function literal(text: string): unknown {
  if (/^[{[\-0-9]/.test(text) || text === 'true' || text === 'false' || text === 'null') {
    try {
      return JSON.parse(text)
    } catch {
      return text
    }
  }
  return text
}

/** Gives what a dotted path names. */
export function at(fields: Record<string, unknown>, path: string): unknown {
  let value: unknown = fields
  for (const name of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[name]
  return value
}

/** Sets what a dotted path names. */
export function put(fields: Record<string, unknown>, path: string, value: unknown): void {
  const names = path.split('.')
  const last = names.pop() as string
  let into = fields
  for (const name of names) {
    into[name] ??= {}
    if (typeof into[name] !== 'object' || Array.isArray(into[name])) {
      throw new UsageError(`--${path}: ${name} is set to a value already`)
    }
    into = into[name] as Record<string, unknown>
  }
  into[last] = value
}
