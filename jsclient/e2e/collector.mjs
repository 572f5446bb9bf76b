// A little strict collector for tests that need no gateway: takes what the
// gateway takes, refuses what it refuses, and remembers everything.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

const here = fileURLToPath(new URL('..', import.meta.url))
const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.pdf': 'application/pdf',
}
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const faultOf = (event) => {
  if (!event || typeof event !== 'object') return 'not an object'
  if (!UUID.test(event.messageId)) return 'messageId'
  if (typeof event.type !== 'string') return 'type'
  if (event.type === 'track' && typeof event.event !== 'string') return 'event'
  if (!Number.isInteger(event.ts)) return 'ts'
  if (Buffer.byteLength(JSON.stringify(event)) > 32768) return 'too large'
  return ''
}

/**
 * Starts it on a free port. `behave` may answer a request itself: given
 * (request, response, number) it returns true when it did.
 */
export const startCollector = async ({ behave, port = 0 } = {}) => {
  const state = {
    events: [],
    duplicates: 0,
    requests: [],
    preflights: 0,
    problems: [],
    behave,
    seen: new Set(),
  }
  const server = createServer((request, response) => {
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => answer(request, response, Buffer.concat(chunks)))
  })
  const answer = (request, response, body) => {
    const url = new URL(request.url, 'http://x')
    response.setHeader('Access-Control-Allow-Origin', '*')
    response.setHeader('Access-Control-Expose-Headers', 'Retry-After')
    response.setHeader('Cache-Control', 'no-store')
    if (url.pathname.startsWith('/v1')) {
      const name = url.searchParams.get('auto') === 'pageviews' ? 'pageviews' : 'full'
      response.setHeader('Content-Type', 'text/javascript')
      return response.end(readFileSync(join(here, 'dist', name + '.js')))
    }
    if (request.method === 'OPTIONS') {
      state.preflights++
      return response.writeHead(204).end()
    }
    if (url.pathname !== '/e') return response.writeHead(404).end()
    state.requests.push({ url: request.url, headers: request.headers, bytes: body.length })
    if (state.behave?.(request, response, state.requests.length, body)) return
    const packed = body[0] === 0x1f
    if (!packed && !/^text\/plain/.test(request.headers['content-type']))
      state.problems.push('content type ' + request.headers['content-type'])
    let batch
    try {
      batch = JSON.parse((packed ? gunzipSync(body) : body).toString())
    } catch {
      state.problems.push('not JSON: ' + body.toString().slice(0, 200))
      return response.writeHead(400).end('{"error":"invalid_json"}')
    }
    const rejected = []
    for (const [index, event] of batch.events.entries()) {
      const fault = faultOf(event)
      if (fault) {
        rejected.push({ index, error: 'validation_failed', field: fault })
        state.problems.push(fault + ' in ' + JSON.stringify(event).slice(0, 300))
      } else if (state.seen.has(event.messageId)) state.duplicates++
      else {
        state.seen.add(event.messageId)
        state.events.push({
          ...event,
          context: { ...batch.context, ...event.context },
          sentAt: batch.sentAt,
          tenant: batch.tenant,
        })
      }
    }
    response.writeHead(202, { 'Content-Type': 'application/json' })
    response.end(
      JSON.stringify({
        accepted: batch.events.length - rejected.length,
        rejected,
        id: createHash('sha1').update(body).digest('hex'),
      }),
    )
  }
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
  const origin = 'http://127.0.0.1:' + server.address().port
  return {
    ...state,
    state,
    origin,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(resolve)
      }),
  }
}

/** Serves the test site with the script of `script` for `tenant`. */
export const startSite = async ({
  script,
  tenant = 'acme',
  root = join(here, 'testdata/site'),
  headers = {},
  change = (text) => text,
} = {}) => {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, 'http://x').pathname)
    try {
      let body = readFileSync(join(root, path === '/' ? 'index.html' : path))
      const type = types[extname(path)] || 'text/html; charset=utf-8'
      if (type.startsWith('text/html'))
        body = change(body.toString().replaceAll('{{script}}', script).replaceAll('{{tenant}}', tenant), path)
      response.writeHead(200, { 'Content-Type': type, ...headers })
      response.end(body)
    } catch {
      response.writeHead(404).end('not found')
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: 'http://127.0.0.1:' + server.address().port,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(resolve)
      }),
  }
}
