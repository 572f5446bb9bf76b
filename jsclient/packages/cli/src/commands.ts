import { readFileSync } from 'node:fs'
import type { Target } from './arguments.js'
import { completion } from './completion.js'
import { doctor } from './doctor.js'
import { UsageError } from './errors.js'
import { type Flags, readFlags, type Shape } from './flags.js'
import { deliveries, replay, trace } from './forwarding.js'
import { init, login } from './setup.js'
import { formatOf, show, write } from './show.js'
import { follow } from './stream.js'
import { writeLive } from './tail.js'
import { type Resolved, resolve } from './target.js'
import { doCode, fetchTool, search } from './tools.js'

/** Runs a command with what stands behind its name, and the target that was named before it. */
export interface Command {
  (args: string[], target: Target): Promise<void> | void
  shape: Shape
}

/** A command that needs a gateway. */
function onGateway(shape: Shape, run: (gateway: Resolved, flags: Flags) => Promise<void> | void): Command {
  const command = (args: string[], target: Target) => {
    const flags = readFlags(args, shape)
    return run(resolve({ ...target, ...flags.values }), flags)
  }
  return Object.assign(command, { shape })
}

/** A command that finds its gateway itself, or needs none. */
function alone(shape: Shape, run: (target: Target, flags: Flags) => Promise<void> | void): Command {
  const command = (args: string[], target: Target) => {
    const flags = readFlags(args, shape)
    return run({ ...target, ...flags.values }, flags)
  }
  return Object.assign(command, { shape })
}

const formats = ['table', 'json', 'ndjson', 'csv', 'parquet', 'arrow']

async function sql(gateway: Resolved, { values, rest }: Flags): Promise<void> {
  const query = rest[0] ?? (process.stdin.isTTY ? '' : readFileSync(0, 'utf8'))
  const format = values['format'] ?? 'table'
  if (!query.trim()) throw new UsageError('no query: headlessly sql "select count(*) from events"')
  if (!formats.includes(format)) {
    throw new UsageError(`--format ${format}: known are table, json, ndjson, csv, parquet or arrow`)
  }
  if ((format === 'parquet' || format === 'arrow') && process.stdout.isTTY) {
    throw new UsageError(`--format ${format} is binary: redirect it into a file`)
  }
  const response = await fetch(`${gateway.url}/~${encodeURIComponent(gateway.tenant)}/sql`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${gateway.apiKey}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ sql: query, format }),
  })
  if (!response.ok) throw new Error(((await response.json()) as { message: string }).message)
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) process.stdout.write(chunk)
}

async function tail(gateway: Resolved, { values, on }: Flags): Promise<void> {
  const query = new URLSearchParams()
  for (const name of ['event', 'type', 'user']) if (values[name]) query.set(name, values[name])
  for await (const { kind, data } of follow(gateway, `events/live?${query}`)) {
    if (on.has('json')) write(`{"kind":${JSON.stringify(kind)},"data":${data}}\n`)
    else writeLive(kind, data)
  }
}

export const commands: Record<string, Command> = {
  sql: onGateway({ command: 'sql', values: ['format'], most: 1 }, sql),
  tail: onGateway({ command: 'tail', values: ['event', 'type', 'user'], switches: ['json'] }, tail),
  status: onGateway({ command: 'status', switches: ['json', 'yaml', 'table'] }, async (gateway, { on }) => {
    const format = formatOf([...on])
    show(format === 'table' ? 'yaml' : format, () => '', await gateway.client.status())
  }),
  trace: onGateway({ command: 'trace', switches: ['json'], most: 1 }, trace),
  deliveries: onGateway(
    {
      command: 'deliveries',
      values: ['destination', 'integration', 'outcome', 'since', 'until', 'limit'],
      switches: ['json'],
    },
    deliveries,
  ),
  replay: onGateway(
    {
      command: 'replay',
      values: ['destination', 'from', 'since', 'until', 'filter', 'rate', 'resume'],
      switches: ['dry-run', 'detach', 'list'],
    },
    replay,
  ),
  search: onGateway(
    {
      command: 'search',
      values: ['filter', 'sort', 'limit', 'cursor'],
      switches: ['json', 'yaml', 'table'],
      most: 1,
    },
    search,
  ),
  fetch: onGateway({ command: 'fetch', switches: ['json', 'yaml', 'table'], most: 2 }, fetchTool),
  do: onGateway({ command: 'do', most: 1 }, doCode),
  login: alone({ command: 'login', values: ['key-file'], switches: ['out'] }, login),
  init: onGateway({ command: 'init', values: ['site', 'wait'] }, init),
  doctor: alone({ command: 'doctor' }, doctor),
  completion: alone({ command: 'completion', most: 1 }, (_, { rest }) => completion(rest[0])),
  version: alone({ command: 'version' }, () => show('json', () => '', { version: '0.1.0' })),
}
