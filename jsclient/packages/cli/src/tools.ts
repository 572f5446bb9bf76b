import { readFileSync } from 'node:fs'
import { HeadlesslyError } from '@headlessly/sdk'
import { UsageError } from './errors.js'
import type { Flags } from './flags.js'
import { entitiesTable, formatOf, show, write } from './show.js'
import type { Resolved } from './target.js'
import { types } from './types.gen.js'

interface ToolResult {
  content?: { type: string; text?: string }[]
  structuredContent?: unknown
  isError?: boolean
}

/** Calls one of the gateway's MCP tools: the same answer that an agent gets. */
async function tool(gateway: Resolved, name: string, args: Record<string, unknown>): Promise<unknown> {
  const address = `${gateway.url}/~${encodeURIComponent(gateway.tenant)}/mcp`
  const headers: Record<string, string> = {
    Authorization: `Bearer ${gateway.apiKey}`,
    'Content-Type': 'application/json',
    Accept: 'application/json, text/event-stream',
  }
  const post = async (body: object) => {
    const response = await fetch(address, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await response.text()
    if (!response.ok) {
      const refusal = parse(text) as { error?: string; message?: string } | undefined
      throw new HeadlesslyError(response.status, {
        error: refusal?.error ?? 'http',
        message: refusal?.message ?? `the gateway answered ${response.status}`,
      })
    }
    return parse(response.headers.get('Content-Type')?.includes('event-stream') ? lastData(text) : text)
  }
  const answer = (await post({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name, arguments: args },
  })) as { result?: ToolResult; error?: { message: string } }
  if (answer.error) throw new Error(answer.error.message)
  const text = answer.result?.content?.map((c) => c.text ?? '').join('\n') ?? ''
  if (answer.result?.isError) {
    const refusal = parse(text) as
      | { error?: string; message?: string; details?: { message: string }[] }
      | undefined
    throw new Error(
      refusal?.message
        ? [refusal.message, ...(refusal.details ?? []).map((d) => '  ' + d.message)].join('\n')
        : text,
    )
  }
  return answer.result?.structuredContent ?? parse(text) ?? text
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The last message of a finished stream of server-sent events. */
function lastData(text: string): string {
  return (
    text
      .split('\n')
      .filter((line) => line.startsWith('data:'))
      .pop()
      ?.slice('data:'.length) ?? ''
  )
}

const formatsOf = (on: Set<string>) => formatOf([...on].filter((f) => ['json', 'yaml', 'table'].includes(f)))

/** Finds entities, as an agent does. */
export async function search(gateway: Resolved, { values, rest, on }: Flags): Promise<void> {
  const [type] = rest
  if (!type)
    throw new UsageError(`name the type: headlessly search Integration --filter '{"status":"Active"}'`)
  const args: Record<string, unknown> = { type }
  if (values['filter']) {
    args['filter'] = parse(values['filter'])
    if (!args['filter']) throw new UsageError('--filter must be a JSON object such as {"status":"Active"}')
  }
  if (values['sort']) args['sort'] = values['sort']
  if (values['limit']) args['limit'] = Number(values['limit'])
  if (values['cursor']) args['cursor'] = values['cursor']
  const answer = (await tool(gateway, 'search', args)) as {
    results?: Record<string, unknown>[]
    total?: number
    hasMore?: boolean
    cursor?: string
  }
  const results = answer.results ?? []
  const more = answer.hasMore
    ? `${results.length} of ${answer.total}; go on with --cursor ${answer.cursor}\n`
    : ''
  show(formatsOf(on), () => entitiesTable(types[type], results) + more, answer)
}

/** Reads an entity, a Schema, the Status or a Metric, as an agent does. */
export async function fetchTool(gateway: Resolved, { rest, on }: Flags): Promise<void> {
  const [type, id] = rest
  if (!type)
    throw new UsageError('name what to fetch: headlessly fetch Contact contact_…, Schema Contact, Status')
  const answer = await tool(
    gateway,
    'fetch',
    id ? { type, id } : type.includes('_') ? { id: type } : { type },
  )
  const format = formatsOf(on)
  show(format === 'table' ? 'yaml' : format, () => '', answer)
}

/** Runs TypeScript with $ in the gateway's sandbox. */
export async function doCode(gateway: Resolved, { rest }: Flags): Promise<void> {
  const code = rest[0] ?? (process.stdin.isTTY ? '' : readFileSync(0, 'utf8'))
  if (!code.trim()) throw new UsageError("no code: headlessly do 'await $.Contact.count()'")
  const answer = await tool(gateway, 'do', { code })
  if (typeof answer === 'string') return write(answer + '\n')
  show('json', () => '', answer)
}
