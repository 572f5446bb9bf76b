// A visitor: browses the test site for some rounds and writes down what the
// page captured and what the gateway acknowledged.
//
//   node e2e/visit.mjs BASE_URL ROUNDS [OUTPUT] [PAUSE_MS]
//
// One JSON object a line, on standard output or in OUTPUT:
//   {"captured":"<messageId>","type":"page",…}   the page queued this event
//   {"acked":"<messageId>"}                      the page was told it is accepted
//   {"dropped":"<messageId>","reason":"full"}    the page gave it up
//   {"round":1}                                  a round is over
//   {"done":true,"captured":n,"acked":n}         the last line
//
// The gateway may be killed and started again meanwhile: the pages keep what
// it did not acknowledge and deliver it later. After the last round the visitor
// waits until everything captured is acknowledged, or for DRAIN_MS (60000). The
// last batch of a page that is left is acknowledged to a later page, which
// sends it again; the gateway counts it once.
import { createWriteStream } from 'node:fs'
import { flags, launchChromium } from './browser.mjs'

const [base, rounds = '3', output, pause = '150'] = process.argv.slice(2)
if (!base) {
  process.stderr.write('usage: node e2e/visit.mjs BASE_URL ROUNDS [OUTPUT] [PAUSE_MS]\n')
  process.exit(2)
}
const out = output && output !== '-' ? createWriteStream(output) : process.stdout
const captured = new Map()
const acked = new Set()
const say = (line) => out.write(JSON.stringify(line) + '\n')
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// A headless browser calls itself one, and bots are not forwarded: visit as a person would. The flag
// also covers what is sent while a page goes away, which a context's own setting does not.
const userAgent =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36'
const browser = await launchChromium({ args: [...flags, `--user-agent=${userAgent}`] })
const context = await browser.newContext({ viewport: { width: 1200, height: 800 } })
// Listens before the script starts, and notes things where they survive the page.
await context.addInitScript(() => {
  const calls = []
  let real
  const note = (kind, value) => {
    localStorage.visitor = (localStorage.visitor || '') + JSON.stringify([kind, value]) + '\n'
  }
  Object.defineProperty(window, 'headlessly', {
    configurable: true,
    get: () => real || { q: calls },
    set: (client) => {
      real = client
      client.on('event', ({ messageId, type, event, url, userId }) =>
        note('event', { captured: messageId, type, event, url, userId }),
      )
      client.on('ack', (ids) => note('ack', ids))
      client.on('drop', (ids, reason) => note('drop', { ids, reason }))
    },
  })
})
const page = await context.newPage()
page.setDefaultTimeout(10000)
/** Takes over what the pages have noted. */
const collect = async () => {
  const text = await page
    .evaluate(() => {
      const notes = localStorage.visitor || ''
      localStorage.removeItem('visitor')
      return notes
    })
    .catch(() => '')
  for (const line of text.split('\n').filter(Boolean)) {
    const [kind, value] = JSON.parse(line)
    if (kind === 'event') {
      captured.set(value.captured, value)
      say(value)
    } else if (kind === 'drop') for (const id of value.ids) say({ dropped: id, reason: value.reason })
    else
      for (const id of value) {
        acked.add(id)
        say({ acked: id })
      }
  }
}
// The gateway serves the script: while it is down a page is loaded again.
const open = async (path) => {
  for (let attempt = 0; attempt < 120; attempt++) {
    await page.goto(base + path, { waitUntil: 'load' }).catch(() => {})
    if (await page.evaluate(() => !!window.headlessly?.track).catch(() => false)) return
    await sleep(500)
  }
  throw new Error('the script never came: is the gateway running?')
}
const rest = () => sleep(+pause)
const settled = () => page.waitForFunction(() => !!window.headlessly?.track)
const step = async (name, fn) => {
  try {
    await fn()
    await rest()
    await collect()
  } catch (error) {
    // A page that lost its script while the gateway was down has no buttons to press in time.
    process.stderr.write(`${name}: ${error.message.split('\n')[0]}\n`)
  }
}

for (let round = 1; round <= +rounds; round++) {
  await step('home', () =>
    open(
      round % 2
        ? `/index.html?utm_source=news&utm_medium=email&utm_campaign=spring&round=${round}`
        : '/index.html',
    ),
  )
  await step('buy', () => page.click('#buy'))
  await step('dead', () => page.click('#dead'))
  await step('scroll', () => page.mouse.wheel(0, 900))
  await step('copy', async () => {
    await page.locator('#copyme').selectText()
    await page.keyboard.press('Control+C')
  })
  await step('download', () => page.click('#download', { modifiers: ['Alt'] }).catch(() => {}))
  await step('products', () => page.click('nav a[href="products.html"]').catch(() => open('/products.html')))
  await step('order', async () => {
    await settled().catch(() => open('/products.html'))
    await page.fill('[name=name]', 'Jane Doe')
    await page.fill('[name=email]', 'jane@example.com')
    await page.fill('[name=password]', 'hunter2')
    await page.click('#send')
  })
  await step('about', () => open('/about.html'))
  await step('sign in', () => page.click('#signin'))
  await step('errors', () => open(`/errors.html?round=${round}`))
  for (const id of ['throw', 'reject', 'caught', 'message']) await step(id, () => page.click('#' + id))
  await step('app', () => open('/app.html'))
  await step('sent', () => page.click('#app a[href="sent"]'))
  await step('settings', () => page.click('#app a[href="settings"]'))
  await step('filter', () => page.click('#filter'))
  await step('back', () => page.goBack())
  await step('forward', () => page.goForward())
  say({ round })
}

const until = Date.now() + +(process.env.DRAIN_MS || 60000)
await open('/index.html')
while (Date.now() < until) {
  await sleep(250)
  await collect()
  const stored = await page.evaluate(
    () => Object.keys(localStorage).filter((key) => key.startsWith('hly_q_')).length,
  )
  if (!stored && [...captured.keys()].every((id) => acked.has(id))) break
}
say({ done: true, captured: captured.size, acked: acked.size })
await new Promise((resolve) => out.write('', resolve))
await browser.close()
