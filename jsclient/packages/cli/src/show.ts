import { stringify } from 'yaml'
import type { TypeInfo } from './arguments.js'
import { UsageError } from './errors.js'

type Row = Record<string, unknown>

/** The format that was asked for: else a table on a terminal, JSON for a program. */
export function formatOf(asked: string[]): string {
  if (new Set(asked).size > 1) throw new UsageError('choose one of --table, --json, --yaml')
  return asked[0] ?? (process.stdout.isTTY ? 'table' : 'json')
}

export function write(text: string): void {
  process.stdout.write(text)
}

/** Writes an answer in the format that was asked for. */
export function show(format: string, table: () => string, value: unknown): void {
  if (format === 'table') write(table())
  else if (format === 'yaml') {
    write(
      stringify(value, {
        version: '1.1',
        sortMapEntries: true,
        singleQuote: false,
        lineWidth: 0,
        aliasDuplicateObjects: false,
      }),
    )
  } else write(JSON.stringify(sorted(value), null, 2) + '\n')
}

/** Objects with their keys in order, so that an answer always looks the same. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  const keys = Object.keys(value).sort((a, b) => (a < b ? -1 : 1))
  return Object.fromEntries(keys.map((k) => [k, sorted((value as Row)[k])]))
}

/** The id, the declared fields, others by name, the remaining meta fields. */
function fieldOrder(type: TypeInfo | undefined, present: Set<string>): string[] {
  const rest = [...present].filter((name) => !name.startsWith('$')).sort()
  const order = [
    '$id',
    ...Object.keys(type?.fields ?? {}),
    ...rest,
    '$version',
    '$createdAt',
    '$updatedAt',
    '$createdBy',
    'deleted',
  ]
  return [...new Set(order)].filter((name) => present.has(name))
}

/** One entity, a field a line. */
export function entityTable(type: TypeInfo | undefined, entity: Row): string {
  return table(
    undefined,
    fieldOrder(type, new Set(Object.keys(entity))).map((name) => [name, cell(entity[name])]),
  )
}

/** How many columns a table has unless --fields names them: more do not fit a screen. */
const mostColumns = 7

/** Entities, one a line. */
export function entitiesTable(type: TypeInfo | undefined, list: Row[], named?: string[]): string {
  if (!list.length) return 'none found\n'
  let columns = named
  if (!columns) {
    const present = new Set<string>()
    for (const entity of list) {
      for (const [name, value] of Object.entries(entity)) {
        const nested = value !== null && typeof value === 'object' && !Array.isArray(value)
        if (!nested && name !== '$context') present.add(name)
      }
    }
    columns = fieldOrder(type, present).slice(0, mostColumns)
  }
  const names = columns
  return table(
    names,
    list.map((entity) => names.map((name) => brief(entity[name]))),
  )
}

/** An entity's events, oldest first. */
export function historyTable(events: Row[]): string {
  return table(
    ['version', 'timestamp', 'event', 'actor', 'changed'],
    events.map((e) => [
      cell(e['version']),
      brief(e['timestamp']),
      cell(e['type']),
      cell(e['actor']),
      e['version'] === 1
        ? ''
        : Object.keys((e['data'] as Row) ?? {})
            .sort()
            .join(', '),
    ]),
  )
}

/** A value on one line. */
export function cell(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'string') return value.split(/\s+/).filter(Boolean).join(' ')
  if (Array.isArray(value)) return value.map(cell).join(', ')
  if (typeof value === 'object') return JSON.stringify(sorted(value))
  return String(value)
}

/** A value as a list shows it: a time without the fraction of its second. */
function brief(value: unknown): string {
  return cell(value).replace(/^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z$/, '$1Z')
}

/** How far a column is cut to make a line fit. */
const narrowest = 8

/** Rows in aligned columns, cut to the terminal's width where there is one. */
export function table(head: string[] | undefined, rows: string[][]): string {
  const all = head ? [head, ...rows] : rows
  const widths: number[] = []
  for (const row of all) {
    for (const [i, c] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, [...c].length)
  }
  if (process.stdout.isTTY) fit(widths, process.stdout.columns || 80)
  let out = ''
  all.forEach((row, n) => {
    row.forEach((c, i) => {
      const width = widths[i] ?? 0
      const text = cut(c, width)
      out += head && n === 0 ? paint('1', text) : text
      if (i < row.length - 1) out += ' '.repeat(width - [...text].length + 2)
    })
    out += '\n'
  })
  return out
}

function fit(widths: number[], width: number): void {
  let total = widths.reduce((sum, n) => sum + n, 2 * (widths.length - 1))
  for (; total > width; total--) {
    const most = widths.indexOf(Math.max(...widths))
    if ((widths[most] ?? 0) <= narrowest) return
    widths[most] = (widths[most] ?? 0) - 1
  }
}

function cut(text: string, n: number): string {
  const characters = [...text]
  return characters.length <= n ? text : characters.slice(0, Math.max(0, n - 1)).join('') + '…'
}

/** Colour on a terminal that has not asked for none (https://no-color.org). */
export function paint(code: string, text: string): string {
  return process.stdout.isTTY && !process.env['NO_COLOR'] && text ? `\x1b[${code}m${text}\x1b[0m` : text
}
