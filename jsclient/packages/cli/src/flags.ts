import { UsageError } from './errors.js'

/** What a command takes: flags with a value, switches, and how many arguments. */
export interface Shape {
  command: string
  values?: string[]
  switches?: string[]
  most?: number
}

export interface Flags {
  values: Record<string, string>
  on: Set<string>
  rest: string[]
}

const target = ['data', 'url', 'tenant']

/** Reads a command's flags; an unknown one is a wrong call. */
export function readFlags(args: string[], shape: Shape): Flags {
  const out: Flags = { values: {}, on: new Set(), rest: [] }
  for (let i = 0; i < args.length; i++) {
    const a = args[i] ?? ''
    if (!a.startsWith('--') || a === '--') {
      out.rest.push(a)
      continue
    }
    const [name = '', given] = a.slice(2).split(/=(.*)/s)
    if (shape.switches?.includes(name)) {
      out.on.add(name)
      continue
    }
    if (!shape.values?.includes(name) && !target.includes(name)) {
      throw new UsageError(`unknown flag: --${name}\nSee: headlessly ${shape.command} --help`)
    }
    const value = given ?? args[++i]
    if (value === undefined) throw new UsageError(`--${name} needs a value`)
    out.values[name] = value
  }
  if (out.rest.length > (shape.most ?? 0)) {
    throw new UsageError(`headlessly ${shape.command}: unexpected "${out.rest[shape.most ?? 0]}"`)
  }
  return out
}
