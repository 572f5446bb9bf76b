// Our own binary on a data folder of its own, and SQL over its tables.
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../..', import.meta.url))

/** A free port below those that the system deals out: nobody is given it before a child listens there. */
export const freePort = async () => {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000)
    const free = await new Promise((resolve) => {
      const server = createServer()
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (free) return port
  }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Builds (or takes HEADLESSLY_BIN) and starts the gateway. */
export const startGateway = async () => {
  const dir = mkdtempSync(join(tmpdir(), 'hly-browser-'))
  let bin = process.env.HEADLESSLY_BIN
  if (!bin) {
    bin = join(dir, 'headlessly')
    await run('go', ['build', '-o', bin, './cmd/headlessly'], { cwd: root })
  }
  const data = join(dir, 'data')
  const port = await freePort()
  const control = '127.0.0.1:' + (await freePort())
  const child = spawn(bin, ['serve', '--data', data, '--listen', '127.0.0.1:' + port, '--control', control])
  let printed = ''
  child.stdout.on('data', (text) => (printed += text))
  child.stderr.on('data', (text) => (printed += text))
  for (const end = Date.now() + 60_000; ; ) {
    const ready = await fetch('http://127.0.0.1:' + port + '/readyz').then(
      (response) => response.ok,
      () => false,
    )
    if (ready) break
    if (Date.now() > end) throw new Error('the gateway does not get ready: ' + printed)
    await sleep(100)
  }
  const secret = /hly_sk_\w+/.exec(readFileSync(join(data, 'credentials.json'), 'utf8'))[0]
  const sql = async (query) => {
    const response = await fetch('http://' + control + '/~default/sql', {
      method: 'POST',
      headers: { Authorization: 'Bearer ' + secret },
      body: JSON.stringify({ sql: query }),
    })
    const answer = await response.json()
    if (!answer.rows) throw new Error(query + ': ' + JSON.stringify(answer))
    return answer.rows
  }
  return {
    port,
    sql,
    /** Asks until the rows are as wanted; returns them as they are then, or at the end of the wait. */
    async until(query, wanted, ms = 90_000) {
      const end = Date.now() + ms
      // Each question costs the gateway a process: ask less often the longer it takes.
      for (let pause = 300; ; pause = Math.min(pause * 1.5, 2000)) {
        const rows = await sql(query)
        if (wanted(rows) || Date.now() > end) return rows
        await sleep(pause)
      }
    },
    async close() {
      child.kill('SIGKILL')
      await new Promise((resolve) => child.on('close', resolve))
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/**
 * A proxy before the gateway, where a test plays the network: `rule` may answer
 * ({status, headers}), delay either ({delay: ms}, {until: promise}) or break ('cut') a POST; without it
 * everything passes. It notes each POST and what the gateway answered.
 */
export const startProxy = async (gateway) => {
  const posts = []
  const proxy = { posts, preflights: 0, rule: undefined }
  const server = createServer((request, response) => {
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('error', () => {})
    request.on('end', async () => {
      const body = Buffer.concat(chunks)
      const post = {
        at: Date.now(),
        body: (body[0] === 0x1f ? gunzipSync(body) : body).toString(),
        bytes: body.length,
        headers: request.headers,
        status: 0,
        url: request.url,
      }
      if (request.method === 'OPTIONS') proxy.preflights++
      if (request.method === 'POST' || request.url.startsWith('/e.gif')) {
        posts.push(post)
        const verdict = proxy.rule?.(post, posts.length)
        if (verdict === 'cut') return request.socket.destroy()
        if (verdict?.delay) await sleep(verdict.delay)
        await verdict?.until
        if (verdict?.status) {
          post.status = verdict.status
          const headers = {
            'Access-Control-Allow-Origin': '*',
            'Access-Control-Expose-Headers': 'Retry-After',
            ...verdict.headers,
          }
          return response.writeHead(verdict.status, headers).end('{}')
        }
      }
      const upstream = httpRequest(
        {
          host: '127.0.0.1',
          port: gateway.port,
          path: request.url,
          method: request.method,
          headers: { ...request.headers, 'content-length': body.length },
        },
        (answer) => {
          post.status = answer.statusCode
          response.writeHead(answer.statusCode, answer.headers)
          answer.pipe(response)
        },
      )
      upstream.on('error', () => request.socket.destroy())
      upstream.end(body)
    })
  })
  server.on('clientError', (_error, socket) => socket.destroy())
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  proxy.origin = 'http://127.0.0.1:' + server.address().port
  proxy.ids = () =>
    posts
      .filter((post) => post.status === 202)
      .flatMap((post) => JSON.parse(post.body).events.map((event) => event.messageId))
  proxy.close = () => {
    server.closeAllConnections()
    server.close()
  }
  return proxy
}

/** Ports of sites: one that is closed may be given out again, with the other case's storage and rows. */
const taken = new Set()

/** A site on a port, and so a storage, of its own: pages by path. */
export const startPages = async (pages) => {
  const answer = (request, response) => {
    const { pathname } = new URL(request.url, 'http://x')
    const page = pages[pathname]
    if (!page) return response.writeHead(404).end('not found')
    const { body, headers } = typeof page === 'string' ? { body: page } : page
    const type = pathname.endsWith('.js') ? 'text/javascript' : 'text/html; charset=utf-8'
    response.writeHead(200, { 'Content-Type': type, ...headers }).end(body)
  }
  let server
  let port
  do {
    server?.close()
    server = createServer(answer)
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = server.address().port
  } while (taken.has(port))
  taken.add(port)
  return {
    origin: 'http://127.0.0.1:' + port,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
