import { UsageError } from './errors.js'
import type { Flags } from './flags.js'
import { table, write } from './show.js'
import type { Resolved } from './target.js'

interface Attempt {
  at: string
  destination: string
  event: string
  messageId: string
  try: number
  took: number
  outcome: string
  status?: number
  error?: string
  note?: string
  replay?: boolean
}

interface Trace {
  messageId: string
  type: string
  event: string
  receivedAt: string
  logSeq?: number
  destinations: {
    destination: string
    state: string
    reason?: string
    next?: string
    attempts?: Attempt[]
  }[]
}

interface Job {
  id: string
  createdAt: string
  destination: string
  from: string
  state: string
  share: number
  dryRun?: boolean
  error?: string
  report: Record<string, number>
}

/** A local time with milliseconds. */
function clock(at: string): string {
  const d = new Date(at)
  const two = (n: number, w = 2) => String(n).padStart(w, '0')
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${two(d.getMilliseconds(), 3)}`
}

const json = (value: unknown) => write(JSON.stringify(value, null, 2) + '\n')

function said(a: Attempt): string {
  const why = a.error || (a.outcome === 'delivered' ? '' : (a.note ?? ''))
  return [a.status || '', why].filter(Boolean).join(' ')
}

/** Where one event went, when, and with what answer. */
export async function trace({ client }: Resolved, { rest, on }: Flags): Promise<void> {
  const [id] = rest
  if (!id) throw new UsageError('name the event: headlessly trace ID')
  const t = await client.request<Trace>({ method: 'GET', path: `events/${encodeURIComponent(id)}/trace` })
  if (on.has('json')) return json(t)
  const ofEntity = t.type === 'entity'
  const name = ofEntity || t.event === t.type ? t.event : `${t.type} ${t.event}`
  const stored = ofEntity
    ? `happened ${clock(t.receivedAt)}, in the table entity_events`
    : `accepted ${clock(t.receivedAt)}, on disk and in the table events (log place ${t.logSeq})`
  write(`${t.messageId}  ${name}\n${stored}\n`)
  if (!t.destinations.length) {
    write(
      ofEntity
        ? 'no webhook or channel was told of it\n'
        : 'the tenant has no destination that it could go to\n',
    )
  }
  for (const d of t.destinations) {
    let line = `→ ${d.destination.padEnd(8)} ${d.state}`
    if (d.reason) line += `: ${d.reason}`
    if (d.next && d.state === 'parked') line += `; next try ${clock(d.next)}`
    write(line + '\n')
    for (const a of d.attempts ?? []) {
      write(
        `    ${clock(a.at)}  try ${a.try}${a.replay ? ' (replay)' : ''}  ${a.outcome} after ${took(a)}  ${said(a)}\n`,
      )
    }
  }
}

/** A duration that the wire gives in nanoseconds. */
const took = (a: Attempt) => `${Math.round(a.took / 1e6)}ms`

/** Attempts at destinations and what came of them, newest first. */
export async function deliveries({ client }: Resolved, { values, on }: Flags): Promise<void> {
  const query: Record<string, string> = { limit: values['limit'] ?? '50' }
  for (const name of ['destination', 'integration', 'outcome', 'since', 'until']) {
    if (values[name]) query[name] = values[name]
  }
  const answer = await client.request<{ results: Attempt[]; hasMore: boolean }>({
    method: 'GET',
    path: 'deliveries',
    query,
  })
  if (on.has('json')) return json(answer)
  if (!answer.results.length) return void process.stderr.write('no attempt matches\n')
  const head = ['AT', 'DESTINATION', 'EVENT', 'MESSAGE', 'TRY', 'TOOK', 'OUTCOME', 'ANSWER']
  write(
    table(
      head,
      answer.results.map((a) => [
        clock(a.at),
        a.destination,
        a.event,
        a.messageId,
        String(a.try),
        took(a),
        a.outcome,
        said(a),
      ]),
    ),
  )
  if (answer.hasMore) process.stderr.write('there are more: use --limit, --since, --until\n')
}

/** How often a running replay is asked how far it is, in milliseconds. */
const pollMs = 300

/** Sends past events to a destination again. */
export async function replay({ client }: Resolved, { values, on }: Flags): Promise<void> {
  if (on.has('list')) {
    const { results } = await client.request<{ results: Job[] }>({ method: 'GET', path: 'replays' })
    const rows = results.map((j) => [
      j.id,
      clock(j.createdAt),
      j.destination,
      j.from,
      j.state,
      `${Math.round(j.share * 100)} %`,
      j.error ?? '',
    ])
    return write(table(['ID', 'CREATED', 'DESTINATION', 'FROM', 'STATE', 'DONE', 'ERROR'], rows))
  }
  const { resume, rate, ...selection } = values
  if (!values['destination'] && !resume) {
    throw new UsageError('name a --destination, or --resume ID, or --list')
  }
  let job = await client.request<Job>(
    resume
      ? { method: 'POST', path: `replays/${encodeURIComponent(resume)}/resume` }
      : {
          method: 'POST',
          path: 'replays',
          body: { ...selection, perSecond: Number(rate ?? 0), dryRun: on.has('dry-run') },
        },
  )
  if (on.has('detach')) return write(job.id + '\n')
  while (job.state === 'running') {
    await new Promise((done) => setTimeout(done, pollMs))
    job = await client.request<Job>({ method: 'GET', path: `replays/${job.id}` })
    if (process.stderr.isTTY) process.stderr.write(`\r${Math.round(job.share * 100)} %`)
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  write(`${job.state}: ${counted(job)}\n`)
  if (job.error) throw new Error(job.error)
}

function counted(job: Job): string {
  return Object.entries(job.report)
    .filter(([, n]) => typeof n === 'number' && n > 0)
    .map(([what, n]) => `${n} ${what}`)
    .join(', ')
}
