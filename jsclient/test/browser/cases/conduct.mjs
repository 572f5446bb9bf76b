// Pages that are strict, hostile, or without storage.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { sleep } from '../gateway.mjs'
import { html, names, sameOnce } from '../kit.mjs'

export const conduct = ({ it }) => {
  it('a page whose storage is blocked', async (setUp) => {
    const block = `<script>Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError') } })</script>`
    const t = await setUp(({ script }) => ({ '/a.html': html(block + script()) }))
    await t.page.goto(t.site.origin + '/a.html')
    await t.page.evaluate(`(headlessly.track('Kept'), 1)`)
    const rows = await t.until('event, session_id, anonymous_id', (rows) => names(rows).includes('Kept'))
    assert.ok(names(rows).includes('page'))
    assert.equal(new Set(rows.map((row) => row.session_id)).size, 1)
    assert.ok(rows[0].anonymous_id)
  })

  it('a page with a strict content policy and Trusted Types', async (setUp) => {
    const t = await setUp(({ script, proxy }) => ({
      '/a.html': {
        body: html(script()),
        headers: {
          'Content-Security-Policy': `default-src 'none'; script-src ${proxy.origin}; connect-src ${proxy.origin}; img-src data:; require-trusted-types-for 'script'; trusted-types 'none'`,
        },
      },
    }))
    await t.page.goto(t.site.origin + '/a.html')
    await t.page.evaluate(`(headlessly.track('Strict'), 1)`)
    const rows = await t.until('event, error_type, error_message', (rows) => names(rows).includes('Strict'))
    assert.ok(names(rows).includes('page'))
    const blamed = rows.filter((row) => row.error_type === 'CSPViolation').map((row) => row.error_message)
    assert.deepEqual(blamed, [])
  })

  it('what a content policy blocks is an error event', async (setUp) => {
    const t = await setUp(({ script, proxy }) => ({
      '/a.html': {
        body: html(script(), '<img src="http://blocked.test/x.png">').replace(/<link[^>]*>/, ''),
        headers: {
          'Content-Security-Policy': `default-src 'self'; script-src ${proxy.origin}; connect-src ${proxy.origin}`,
        },
      },
    }))
    await t.page.goto(t.site.origin + '/a.html')
    const rows = await t.until(
      'error_message, level',
      (rows) => rows.length,
      "and error_type = 'CSPViolation' and error_message like 'img-src%test%'",
    )
    assert.match(rows[0]?.error_message || '', /^img-src blocked http:\/\/blocked\.test/)
    assert.equal(rows[0].level, 'warning')
  })

  it('a page that replaced the built-ins, and hostile values', async (setUp) => {
    const hostile = `<script>
    window.faults = []
    addEventListener('error', (e) => faults.push(e.message)); addEventListener('unhandledrejection', (e) => faults.push(String(e.reason)))
  </script>`
    const t = await setUp(({ script }) => ({ '/a.html': html(hostile + script()) }))
    await t.page.goto(t.site.origin + '/a.html')
    await sleep(1300)
    const outcome = await t.page.evaluate(`(async () => {
    const no = () => { throw new Error('hostile') }; const own = { ...{ stringify: JSON.stringify, parse: JSON.parse } }
    const cycle = {}; cycle.self = cycle
    JSON.stringify = no; JSON.parse = no
    window.fetch = no
    Array.prototype.toJSON = no; Object.prototype.toJSON = undefined
    const calls = [
      ['getter', { get bad() { no() } }], ['toJSON', { v: { toJSON: no } }], ['cycle', cycle], ['bigint', { v: 10n }],
      ['proxy', { v: new Proxy({}, { get: no, ownKeys: no, has: no }) }], ['huge', { v: 'y'.repeat(1e7) }],
      ['window', { v: window, d: document, e: document.body }], ['nothing', null], ['text', 'text'],
    ]
    for (const [name, value] of calls) headlessly.track('Hostile ' + name, value)
    headlessly.track(); headlessly.identify(); headlessly.register(new Proxy({}, { ownKeys: no })); headlessly.captureException(new Proxy({}, { get: no }))
    headlessly.addBreadcrumb(null); headlessly.setTags(null); headlessly.on('event', no); headlessly.consent(null); headlessly.consent('granted')
    headlessly.track('Hostile end')
    await headlessly.flush()
    delete Array.prototype.toJSON; delete Object.prototype.toJSON; Object.assign(JSON, own)
    return 'survived'
  })()`)
    assert.equal(outcome, 'survived')
    assert.equal(await t.page.evaluate('faults.join()'), '')
    const rows = await t.until('event, properties', (rows) => names(rows).includes('Hostile end'))
    for (const event of ['getter', 'toJSON', 'cycle', 'bigint', 'proxy', 'huge', 'window', 'nothing']) {
      assert.ok(names(rows).includes('Hostile ' + event), event)
    }
  })

  it('a page that breaks the methods of arrays', async (setUp) => {
    const t = await setUp(({ script }) => ({
      '/a.html': html(
        `<script>window.faults = []; addEventListener('error', (e) => faults.push(e.message)); addEventListener('unhandledrejection', (e) => faults.push(String(e.reason)))</script>` +
          script(),
        '<button id="b">b</button>',
      ),
    }))
    await t.page.goto(t.site.origin + '/a.html')
    await sleep(1300)
    const outcome = await t.page.evaluate(`(async () => {
      const own = {}
      const no = () => { throw new Error('hostile') }
      for (const name of ['at', 'concat', 'filter', 'find', 'forEach', 'includes', 'join', 'map', 'reverse', 'slice', 'some', 'sort', 'splice']) {
        own[name] = Array.prototype[name]
        Array.prototype[name] = no
      }
      let said = 'survived'
      try {
        headlessly.track('Broken', { list: [1, 2, 3] }); headlessly.captureException(new Error('broken')); headlessly.addBreadcrumb({ message: 'x' })
        b.click()
        console.log('logged', [1])
        history.pushState({}, '', '/inside')
        await headlessly.flush()
        await new Promise((resolve) => setTimeout(resolve, 1500))
      } catch (error) { said = String(error) }
      Object.assign(Array.prototype, own)
      return said
    })()`)
    assert.equal(outcome, 'survived')
    await t.page.evaluate(`(headlessly.track('Mended'), 1)`)
    const rows = await t.until('event, message_id', (rows) => names(rows).includes('Mended'))
    assert.ok(names(rows).includes('Mended'))
    sameOnce(rows)
    assert.equal(await t.page.evaluate('faults.join()'), '')
  })

  it('the immutable twin, with its integrity checked by the browser', async (setUp) => {
    let twin = ''
    let integrity = ''
    const t = await setUp(({ proxy }) => ({
      get '/a.html'() {
        const src = new URL(twin, proxy.origin + '/v1')
        return html(
          `<script src="${src}" integrity="${integrity}" crossorigin data-tenant="default"></script>`,
        )
      },
    }))
    const { headers } = await fetch(t.proxy.origin + '/v1')
    twin = headers.get('content-location')
    integrity = headers.get('x-integrity')
    assert.match(integrity, /^sha384-/)
    assert.match(
      (await fetch(new URL(twin, t.proxy.origin + '/v1'))).headers.get('cache-control'),
      /immutable/,
    )
    await t.page.goto(t.site.origin + '/a.html')
    const rows = await t.until('event', (rows) => names(rows).includes('page'))
    assert.ok(names(rows).includes('page'), 'the script did not run, or did not find its endpoint')
  })

  it('a page that has the script inside itself calls init', async (setUp) => {
    const whole = readFileSync(fileURLToPath(new URL('../../../dist/full.js', import.meta.url)), 'utf8')
    const t = await setUp(({ proxy }) => ({
      '/a.html': html(
        `<script>${whole}</script><script>headlessly.track('Before'); headlessly.init({ tenant: 'default', endpoint: '${proxy.origin}' })</script>`,
      ),
    }))
    await t.page.goto(t.site.origin + '/a.html?tenant=other')
    const rows = await t.until('event', (rows) => ['page', 'Before'].every((e) => names(rows).includes(e)))
    assert.deepEqual(names(rows).sort(), ['Before', 'page'])
  })

  it('the stub keeps calls made before the script, in order', async (setUp) => {
    const stub = readFileSync(fileURLToPath(new URL('../../../dist/stub.js', import.meta.url)), 'utf8')
    const t = await setUp(({ script }) => ({
      '/a.html': html(
        `<script>${stub}</script><script>headlessly.register({ a: 1 }); headlessly.track('First'); hly.track('Second')</script>` +
          script(),
      ),
    }))
    await t.page.goto(t.site.origin + '/a.html')
    const rows = await t.until('event, properties', (rows) => names(rows).includes('Second'))
    assert.deepEqual(
      names(rows).filter((event) => /First|Second/.test(event)),
      ['First', 'Second'],
    )
    assert.deepEqual(JSON.parse(rows.find((row) => row.event === 'Second').properties), { a: 1 })
  })
}
