// Compares our script with its peers, in one run: what each records of the same
// visit, what it costs a page, how large it is. Writes RESULTS.md beside itself.
//
//   npm install && npm run compare
//
// The peers are the released packages from npm; what they send is caught by a
// local listener. Nothing leaves the machine.
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { chromium } from 'playwright-core'
import { recorders, sizes } from './recorders.mjs'
import { pages, siteScript, walk } from './visit.mjs'

const rounds = +(process.env.ROUNDS || 9)
const all = await recorders()
const caught = []

const html = (title, head, body) =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title><link rel="icon" href="data:,">${head}</head><body>${body}</body></html>`

const server = createServer((request, response) => {
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => answer(request, response, Buffer.concat(chunks)))
})
const answer = (request, response, body) => {
  const { pathname } = new URL(request.url, 'http://x')
  const [, kind, index, ...rest] = pathname.split('/')
  const recorder = all[+index]
  const send = (type, text) =>
    response.writeHead(200, { 'Content-Type': type, 'Access-Control-Allow-Origin': '*' }).end(text)
  if (kind === 'site.js') return send('text/javascript', siteScript)
  if (kind === 'to' && rest[0] === 'v1') return send('text/javascript', recorder.script)
  if (kind === 'to') {
    if (request.method === 'POST') caught.push({ recorder, body, bytes: body.length + request.url.length })
    response.setHeader('Access-Control-Allow-Headers', '*')
    return send('application/json', JSON.stringify(recorder.answer || {}))
  }
  const page = kind === 'visit' && pages['/' + rest.join('/')]
  if (page) {
    const at = origin() + '/to/' + index
    const load =
      recorder.tag?.(at + '/v1') || `<script src="${at}/v1"></script><script>${recorder.init(at)}</script>`
    const policy = `<meta http-equiv="Content-Security-Policy" content="img-src 'self' data:">`
    return send('text/html', html(rest.join(' '), load + policy, page))
  }
  if (kind === 'empty') return send('text/html', html('empty', '', '<h1>Cost</h1><button>One</button>'))
  response.writeHead(404).end()
}
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const origin = () => 'http://127.0.0.1:' + server.address().port

const userAgent =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36'
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', `--user-agent=${userAgent}`],
})

// 1. The visit.
for (const [index] of all.entries()) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 } })
  const page = await context.newPage()
  await walk(page, origin() + '/visit/' + index)
  await context.close()
}
const rows = new Map()
const add = (what) =>
  rows.get(what) ||
  rows
    .set(
      what,
      all.map(() => []),
    )
    .get(what)
for (const what of [
  'page view',
  'page view inside the app',
  'page leave',
  'click',
  'outbound click',
  'download',
  'copy',
  'rage click',
  'dead click',
  'form submit',
  'form abandon',
  'uncaught error',
  'cause of an error',
  'unhandled rejection',
  'resource that did not load',
  'content policy violation',
  'breadcrumb: navigation',
  'breadcrumb: click',
  'breadcrumb: fetch',
  'breadcrumb: console',
  'LCP',
  'INP',
  'CLS',
  'FCP',
  'TTFB',
])
  add(what)
for (const { recorder, body } of caught) {
  for (const { what, value } of recorder.read({ body })) add(what)[all.indexOf(recorder)].push(value)
}
const vital = /^[A-Z]{3,4}$/
const cell = (what, values) => {
  if (!values.length) return '–'
  if (what.startsWith('breadcrumb')) return 'yes'
  if (vital.test(what))
    return values
      .filter((v) => v !== undefined)
      .map((v) => +v.toFixed(what === 'CLS' ? 4 : 1))
      .at(-1)
  return values.length
}

// 2. What it costs a page, by the page's own clock.
/** What the page and the measuring themselves cost: a script that does nothing. */
const nothing = { title: 'an empty script', version: '', script: ';', init: () => ';' }
const cost = async (recorder, index, figures) => {
  const at = origin() + '/to/' + index
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(origin() + '/empty')
  const { evaluated, start, event, later } = await page.evaluate(
    async ([script, init, event]) => {
      let later = 0
      const timed = (fn) =>
        function (...args) {
          const begin = performance.now()
          try {
            return fn.apply(this, args)
          } finally {
            later += performance.now() - begin
          }
        }
      for (const name of ['requestIdleCallback', 'setTimeout']) {
        const real = window[name]
        window[name] = (fn, ...rest) => real(typeof fn === 'function' ? timed(fn) : fn, ...rest)
      }
      const run = (text) => {
        const element = document.createElement('script')
        element.textContent = text
        document.head.append(element)
      }
      let begin = performance.now()
      run(script)
      const evaluated = performance.now() - begin
      run(init)
      const start = performance.now() - begin
      await new Promise((resolve) => setTimeout(() => resolve(), 2000))
      const idle = later
      if (!event) return { evaluated, start, later: idle }
      run(`window.one = () => { ${event} }`)
      begin = performance.now()
      for (let i = 0; i < 200; i++) window.one()
      return { evaluated, start, later: idle, event: (performance.now() - begin) / 200 }
    },
    [recorder.script, recorder.init(at), recorder.event],
  )
  figures.evaluated.push(evaluated)
  figures.start.push(start)
  figures.later.push(later)
  if (event !== undefined) figures.event.push(event)
  await context.close()
}
const measured = [nothing, ...all]
const costs = measured.map(() => ({ evaluated: [], start: [], later: [], event: [] }))
// In turns: what else the machine does then falls on everybody.
for (let i = 0; i < rounds; i++) {
  for (const [index, recorder] of measured.entries()) await cost(recorder, index - 1, costs[index])
}
await browser.close()
server.close()
server.closeAllConnections()

const sorted = (values) => [...values].sort((a, b) => a - b)
const figure = (values, digits = 1) => {
  if (!values.length) return '–'
  const list = sorted(values)
  return `${list[list.length >> 1].toFixed(digits)} (${list[0].toFixed(digits)})`
}

// 3. The page that says it.
const table = (head, lines) =>
  [head, head.map(() => '---'), ...lines].map((cells) => '| ' + cells.join(' | ') + ' |').join('\n')
const titles = all.map(({ title, version }) => (title + ' ' + version).trim())
const sizeLines = (await sizes()).map(([name, script, version]) => [
  (name + ' ' + version).trim(),
  gzipSync(script, { level: 9 }).length.toLocaleString('en'),
  script.length.toLocaleString('en'),
])
writeFileSync(
  fileURLToPath(new URL('RESULTS.md', import.meta.url)),
  `# Our script beside its peers

Written by \`cd bench/peers && npm install && npm run compare\` on ${new Date().toISOString().slice(0, 10)}: ${cpus().length} cores, ${browser.version()} (Chromium, headless).
Everything is measured in the same run; the machine is shared, so read the figures against each other.

## What each records of the same visit

Each recorder has the same pages and the same steps (\`visit.mjs\`) to itself, with everything switched on that its documentation offers for this.
Numbers count what arrived; for vitals they are the last value told (they differ a little, because each visit is one of its own: that the values are equal
on the same page is asserted by the browser suite, in three engines, against the web-vitals library).

${table(['', ...titles], [...rows].map(([what, values]) => [what, ...values.map((v) => cell(what, v))]))}

## What it costs a page

Milliseconds of the main thread by \`performance.now()\`, median (and least) of ${rounds} fresh pages with cold code and without throttling: running the script (parse, compile,
evaluate) and its init; the first of these alone; what it does in idle callbacks and timers of the next two seconds; one call that records an event, of
200 in a row. The first column is the yardstick: what the page and the measuring take by themselves. What a script costs is the difference to it.

${table(
  ['', ...measured.map(({ title, version }) => (title + ' ' + version).trim())],
  [
    ['start', ...costs.map(({ start }) => figure(start))],
    ['of which the script', ...costs.map(({ evaluated }) => figure(evaluated))],
    ['later', ...costs.map(({ later }) => figure(later))],
    ['an event', ...costs.map(({ event }) => figure(event, 3))],
  ],
)}

## How large it is

Bytes after gzip −9, and before. Peers are bundled by rolldown, as a site would; what they load later comes on top.

${table(['', 'gzip', 'plain'], sizeLines)}
`,
)
process.stdout.write('wrote RESULTS.md\n')
process.exit(0)
