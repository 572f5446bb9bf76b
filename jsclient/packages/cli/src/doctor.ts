import type { Target } from './arguments.js'
import { paint, write } from './show.js'
import { type Resolved, resolve } from './target.js'

interface Finding {
  what: string
  state: 'ok' | 'note' | 'fault'
  detail: string
  advice?: string
}

/** Checks gateway, clock, key and providers, and says what to do. */
export async function doctor(target: Target): Promise<void> {
  const list = await examine(target)
  const mark = { ok: paint('32', '✓'), note: paint('33', '!'), fault: paint('31', '✗') }
  for (const f of list) {
    write(`${mark[f.state]} ${f.what.padEnd(14)} ${f.detail}\n`)
    if (f.state !== 'ok' && f.advice) write(`  ${''.padEnd(14)} → ${f.advice}\n`)
  }
  const faults = list.filter((f) => f.state === 'fault').length
  if (faults) throw new Error(`${faults} of ${list.length} checks found a fault`)
}

async function examine(target: Target): Promise<Finding[]> {
  let gateway: Resolved
  try {
    gateway = resolve(target)
  } catch (error) {
    const advice = 'start one with headlessly serve, or name one with --url and HEADLESSLY_API_KEY'
    return [{ what: 'gateway', state: 'fault', detail: (error as Error).message, advice }]
  }
  const reach = await reachable(gateway)
  if (reach[0]?.state === 'fault' && reach[0].detail.startsWith('cannot')) return reach
  return [...reach, ...(await health(gateway))]
}

/** How far the gateway's clock may be from this machine's, in seconds. */
const clockTolerance = 5

async function reachable({ url }: Resolved): Promise<Finding[]> {
  let response: Response
  try {
    response = await fetch(`${url}/readyz`)
  } catch {
    const advice = 'start it with headlessly serve, or name the right control address with --url'
    return [{ what: 'gateway', state: 'fault', detail: `cannot reach ${url}`, advice }]
  }
  const list: Finding[] = []
  if (response.ok) list.push({ what: 'gateway', state: 'ok', detail: `${url} takes events` })
  else {
    const advice = 'a full disk is mended by space; after a failed fsync restart the gateway'
    const detail = `does not take events: ${(await response.text()).trim()}`
    list.push({ what: 'gateway', state: 'fault', detail, advice })
  }
  const off = Math.abs(Date.now() - Date.parse(response.headers.get('Date') ?? '')) / 1000
  if (off > clockTolerance) {
    const detail = `the gateway's clock is ${Math.round(off)}s away from this machine's`
    const advice = 'set both by NTP: signatures and sessions depend on it'
    list.push({ what: 'clock', state: 'fault', detail, advice })
  } else list.push({ what: 'clock', state: 'ok', detail: "agrees with the gateway's" })
  return list
}

interface Status {
  destinations?: Record<string, { parked: number; dead: number; unknown: number }>
  lakehouse?: { lastError?: string; rows?: number }
}

async function health({ client, tenant }: Resolved): Promise<Finding[]> {
  let status: Status
  try {
    status = await client.status()
  } catch (error) {
    const advice = `HEADLESSLY_API_KEY must be a secret key of the tenant ${tenant}`
    return [{ what: 'key', state: 'fault', detail: (error as Error).message, advice }]
  }
  const list: Finding[] = [{ what: 'key', state: 'ok', detail: `opens tenant ${tenant}` }]
  const broken = status.lakehouse?.lastError
  if (broken) {
    const advice = 'nothing is lost meanwhile: the log keeps it; look at the catalog and the object store'
    list.push({ what: 'lakehouse', state: 'fault', detail: broken, advice })
  } else {
    const detail = `${status.lakehouse?.rows ?? 0} rows written since its start`
    list.push({ what: 'lakehouse', state: 'ok', detail })
  }
  const integrations = await client.Integration.find({}, { limit: 100 })
  if (!integrations.length) {
    const advice = 'headlessly Integration.connect --help'
    list.push({ what: 'integrations', state: 'note', detail: 'none is connected', advice })
  }
  for (const i of integrations) {
    if (i.status === 'Errored') {
      const advice = `give it a new credential with headlessly Integration.connect --provider ${i.provider}, or try again with headlessly Integration.sync ${i.$id}`
      list.push({ what: i.provider, state: 'fault', detail: `Errored: ${i.error}`, advice })
    } else if (i.status === 'Disconnected') {
      list.push({ what: i.provider, state: 'note', detail: 'disconnected' })
    } else list.push({ what: i.provider, state: 'ok', detail: i.status ?? '' })
  }
  for (const [name, d] of Object.entries(status.destinations ?? {})) {
    if (!d.dead && !d.parked && !d.unknown) continue
    const detail = `${d.parked} events wait for another try, ${d.dead} were refused for good, ${d.unknown} were sent without an answer`
    const advice = `headlessly deliveries says why; headlessly replay --destination ${name} sends them again`
    list.push({ what: name, state: 'note', detail, advice })
  }
  return list
}
