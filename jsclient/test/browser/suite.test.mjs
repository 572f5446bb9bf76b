// The script in three engines against our own binary. Every case asserts what
// arrived in the tables. Run with: npm run browsers [-- chromium firefox webkit]
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, afterEach, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { engines } from './engines.mjs'
import { sleep, startGateway, startPages, startProxy } from './gateway.mjs'

const wanted = (process.env.ENGINES || 'chromium,firefox,webkit').split(',')
const webVitals = readFileSync(
  fileURLToPath(
    new URL('../../node_modules/web-vitals/dist/web-vitals.attribution.iife.js', import.meta.url),
  ),
  'utf8',
)

let gateway
before(async () => {
  gateway = await startGateway()
})
after(() => gateway.close())

// The engines run side by side: most of a case is waiting.
describe('browsers', { concurrency: 3, timeout: 230000 }, () => {
  for (const name of wanted) {
    describe(name, { concurrency: 1 }, () => {
      let engine
      const cleanups = []
      afterEach(async () => {
        for (const cleanup of cleanups.splice(0)) await cleanup()
      })
      before(async () => {
        engine = await engines[name]()
      })
      after(() => engine.close())

      /** Sets a case up: a proxy, a site of its own origin, one page. */
      const setUp = async (build) => {
        const proxy = await startProxy(gateway)
        const script = (attributes = '', query = '') =>
          `<script src="${proxy.origin}/v1${query}" data-tenant="default" ${attributes}></script>`
        const pages = build({ script, proxy })
        const site = await startPages(pages)
        const page = await engine.page()
        cleanups.push(async () => {
          await page.close().catch(() => {})
          site.close()
          proxy.close()
        })
        const rows = (columns, also = '') =>
          `select ${columns} from events where url like '${site.origin}/%' ${also} order by timestamp, message_id`
        return {
          proxy,
          site,
          page,
          /** Asks for this origin's rows until they are as wanted. */
          until: (columns, ok, also) => gateway.until(rows(columns, also), ok),
          now: (columns, also) => gateway.sql(rows(columns, also)),
        }
      }
      const html = (head, body = '') =>
        `<!doctype html><html><head><meta charset="utf-8"><title>t</title><link rel="icon" href="data:,">${head}</head><body>${body}</body></html>`
      const names = (rows) =>
        rows.map((row) => row.event).filter((event) => !['session', 'vital'].includes(event))
      const sameOnce = (rows) =>
        assert.equal(
          new Set(rows.map((row) => row.message_id)).size,
          rows.length,
          'a message id twice in the table',
        )

      it('a page that is left at once delivers what it had', async () => {
        const t = await setUp(({ script }) => ({
          '/a.html': html(
            script(),
            `<a id="next" href="/b.html">b</a><script>headlessly.track('Left')</script>`,
          ),
          '/b.html': html('', 'b has no script'),
        }))
        await t.page.goto(t.site.origin + '/a.html')
        await t.page.click('#next')
        const rows = await t.until('event, message_id', (rows) =>
          rows.some((row) => row.event === 'pageleave'),
        )
        for (const event of ['page', 'Left', 'click', 'pageleave'])
          assert.ok(names(rows).includes(event), event + ' in ' + names(rows))
        sameOnce(rows)
        assert.equal(t.proxy.preflights, 0)
      })

      it('a page from the back/forward cache is a page view again', async () => {
        const t = await setUp(({ script }) => ({
          '/a.html': html(
            script(),
            `<a id="next" href="/b.html">b</a><script>addEventListener('pageshow', (e) => { if (e.persisted) document.title = 'persisted' })</script>`,
          ),
          '/b.html': html(script(), 'b'),
        }))
        await t.page.goto(t.site.origin + '/a.html')
        await sleep(1500)
        await t.page.click('#next')
        await sleep(1500)
        await t.page.back()
        await sleep(500)
        const persisted = (await t.page.evaluate('document.title')) === 'persisted'
        // WebKit's automation switches its cache off; the two others must keep the page.
        if (name !== 'webkit')
          assert.ok(persisted, 'the page was not kept in the cache: does the script hinder it?')
        const rows = await t.until(
          "event, path, json_extract_string(properties, '$.navigation') as how",
          (rows) => rows.filter((row) => row.event === 'page').length > 2,
        )
        const views = rows.filter((row) => row.event === 'page')
        assert.deepEqual(
          views.map((row) => row.path),
          ['/a.html', '/b.html', '/a.html'],
        )
        assert.equal(views[2].how, persisted ? 'back-forward-cache' : 'back_forward')
      })

      for (const router of ['native', 'history']) {
        it(`a single-page app counts its views (${router === 'native' ? 'as the engine does it' : 'History API only'})`, async () => {
          const t = await setUp(({ script }) => ({
            '/app.html': html(
              (router === 'history'
                ? `<script>Object.defineProperty(window, 'navigation', { value: undefined })</script>`
                : '') + script(),
            ),
          }))
          await t.page.goto(t.site.origin + '/app.html')
          await t.page.evaluate(`history.pushState({}, '', '/inbox?x=1')`)
          await sleep(120)
          await t.page.evaluate(`history.pushState({}, '', '/sent')`)
          await sleep(120)
          await t.page.evaluate(`history.replaceState({}, '', '/sent?filter=1')`)
          await t.page.evaluate(`location.hash = 'part'`)
          await sleep(120)
          await t.page.evaluate(`history.go(-2)`)
          await sleep(400)
          const rows = await t.until(
            'path, referrer, type, event',
            (rows) => rows.filter((row) => row.event === 'page').length > 3,
          )
          const views = rows.filter((row) => row.event === 'page')
          assert.deepEqual(
            views.map((row) => row.path),
            ['/app.html', '/inbox', '/sent', '/inbox'],
          )
          assert.equal(views[1].referrer, t.site.origin + '/app.html')
          const left = rows.filter((row) => row.event === 'pageleave').map((row) => row.path)
          assert.deepEqual(left, ['/app.html', '/inbox', '/sent'])
        })
      }

      it('a single-page app by fragment counts its views where it asks for it', async () => {
        const t = await setUp(({ script }) => ({ '/app.html': html(script('data-spa="hash"')) }))
        await t.page.goto(t.site.origin + '/app.html')
        for (const part of ['one', 'two']) {
          await t.page.evaluate(`location.hash = '${part}'`)
          await sleep(120)
        }
        const rows = await t.until('url', (rows) => rows.length > 2, "and event = 'page'")
        assert.deepEqual(
          rows.map((row) => row.url.slice(t.site.origin.length)),
          ['/app.html', '/app.html#one', '/app.html#two'],
        )
      })

      it('what is captured while the network is away arrives when it is back, once', async () => {
        const t = await setUp(({ script }) => ({ '/a.html': html(script()) }))
        await t.page.goto(t.site.origin + '/a.html')
        await sleep(1300)
        t.proxy.rule = () => 'cut'
        await t.page.evaluate(`(headlessly.track('Away 1'), 1)`)
        await sleep(1500)
        await t.page.evaluate(`(headlessly.track('Away 2'), 1)`)
        await sleep(2500)
        assert.equal(names(await t.now('event')).includes('Away 1'), false)
        t.proxy.rule = undefined
        await t.page.evaluate(`(dispatchEvent(new Event('online')), 1)`)
        const rows = await t.until(
          'event, message_id',
          (rows) => names(rows).includes('Away 2') && names(rows).includes('Away 1'),
        )
        assert.deepEqual(
          names(rows)
            .filter((event) => event.startsWith('Away'))
            .sort(),
          ['Away 1', 'Away 2'],
        )
        sameOnce(rows)
      })

      it('two tabs share what failed, and nobody sends it twice', async () => {
        const t = await setUp(({ script }) => ({ '/a.html': html(script()) }))
        t.proxy.rule = () => ({ status: 503 })
        const other = await engine.page()
        await t.page.goto(t.site.origin + '/a.html?tab=1')
        await other.goto(t.site.origin + '/a.html?tab=2')
        await t.page.evaluate(`(headlessly.track('Tab 1'), 1)`)
        await other.evaluate(`(headlessly.track('Tab 2'), 1)`)
        await sleep(2500)
        t.proxy.rule = undefined
        for (const page of [t.page, other]) await page.evaluate(`(dispatchEvent(new Event('online')), 1)`)
        const rows = await t.until(
          'event, message_id, session_id, anonymous_id',
          (rows) => names(rows).filter((event) => event.startsWith('Tab')).length > 1,
        )
        assert.deepEqual(
          names(rows)
            .filter((event) => event.startsWith('Tab'))
            .sort(),
          ['Tab 1', 'Tab 2'],
        )
        sameOnce(rows)
        assert.equal(new Set(rows.map((row) => row.anonymous_id)).size, 1, 'two visitors')
        assert.equal(new Set(rows.map((row) => row.session_id)).size, 1, 'two sessions')
        await sleep(500)
        const sent = t.proxy.ids()
        assert.equal(new Set(sent).size, sent.length, 'accepted twice on the wire')
        await other.close()
      })

      it('a page whose storage is blocked', async () => {
        const block = `<script>Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError') } })</script>`
        const t = await setUp(({ script }) => ({ '/a.html': html(block + script()) }))
        await t.page.goto(t.site.origin + '/a.html')
        await t.page.evaluate(`(headlessly.track('Kept'), 1)`)
        const rows = await t.until('event, session_id, anonymous_id', (rows) => names(rows).includes('Kept'))
        assert.ok(names(rows).includes('page'))
        assert.equal(new Set(rows.map((row) => row.session_id)).size, 1)
        assert.ok(rows[0].anonymous_id)
      })

      it('a page with a strict content policy and Trusted Types', async () => {
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
        const rows = await t.until('event, error_type, error_message', (rows) =>
          names(rows).includes('Strict'),
        )
        assert.ok(names(rows).includes('page'))
        const blamed = rows.filter((row) => row.error_type === 'CSPViolation').map((row) => row.error_message)
        assert.deepEqual(blamed, [])
      })

      it('what a content policy blocks is an error event', async () => {
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

      it('a last batch that no beacon takes is sent by the next page', async () => {
        const refuse = `<script>
        const real = window.fetch
        window.fetch = (url, init) => (window.leaving && String(url).includes('/e?') ? Promise.reject(new TypeError('refused')) : real(url, init))
        navigator.sendBeacon = () => false
        addEventListener('click', () => { window.leaving = true }, true)
      </script>`
        const t = await setUp(({ script }) => ({
          '/a.html': html(refuse + script(), `<a id="next" href="/b.html">b</a>`),
          '/b.html': html(script()),
        }))
        await t.page.goto(t.site.origin + '/a.html')
        await sleep(1300)
        await t.page.click('#next')
        const rows = await t.until('event, path, message_id', (rows) =>
          rows.some((row) => row.event === 'pageleave' && row.path === '/a.html'),
        )
        assert.ok(
          rows.some((row) => row.event === 'click' && row.path === '/a.html'),
          'the click that left is there',
        )
        sameOnce(rows)
      })

      it('a slow gateway gets each event once', async () => {
        const t = await setUp(({ script }) => ({ '/a.html': html(script()) }))
        t.proxy.rule = () => ({ delay: 2500 })
        await t.page.goto(t.site.origin + '/a.html')
        for (const i of [1, 2, 3]) {
          await t.page.evaluate(`(headlessly.track('Slow ${i}'), 1)`)
          await sleep(1100)
        }
        const rows = await t.until('event, message_id', (rows) => names(rows).includes('Slow 3'))
        for (const i of [1, 2, 3]) assert.ok(names(rows).includes('Slow ' + i))
        sameOnce(rows)
        const sent = t.proxy.posts.flatMap((post) =>
          JSON.parse(post.body).events.map((event) => event.messageId),
        )
        assert.equal(new Set(sent).size, sent.length, 'sent twice')
      })

      it('a failing gateway is left alone for as long as it asks', async () => {
        const t = await setUp(({ script }) => ({ '/a.html': html(script('data-auto="pageviews,errors"')) }))
        t.proxy.rule = (_post, number) =>
          number === 1 ? { status: 503, headers: { 'Retry-After': '3' } } : undefined
        await t.page.goto(t.site.origin + '/a.html')
        await sleep(1500)
        await t.page.evaluate(`(headlessly.track('Later'), 1)`)
        const rows = await t.until('event, message_id', (rows) => names(rows).includes('Later'))
        assert.ok(names(rows).includes('page'))
        sameOnce(rows)
        const pause = t.proxy.posts[1].at - t.proxy.posts[0].at
        assert.ok(pause >= 2950, `the next request came after ${pause} ms, want at least 3000`)
      })

      it('a batch that is refused for good is given up, and said so', async () => {
        const t = await setUp(({ script }) => ({ '/a.html': html(script()) }))
        t.proxy.rule = (post) => (post.body.includes('Refused') ? { status: 403 } : undefined)
        await t.page.goto(t.site.origin + '/a.html')
        await sleep(1300)
        await t.page.evaluate(
          `(window.dropped = [], headlessly.on('drop', (ids, reason) => dropped.push(reason)), headlessly.track('Refused'), 1)`,
        )
        await sleep(1500)
        assert.equal(await t.page.evaluate('dropped.join()'), 'status 403')
        await t.page.evaluate(`(headlessly.track('Next'), 1)`)
        const rows = await t.until('event', (rows) => names(rows).includes('Next'))
        assert.equal(names(rows).includes('Refused'), false)
        assert.equal(t.proxy.posts.filter((post) => post.body.includes('Refused')).length, 1)
      })

      it('an ad blocker that aborts every request does not reach the page', async () => {
        const watch = `<script>window.faults = []; addEventListener('error', (e) => faults.push(e.message)); addEventListener('unhandledrejection', (e) => faults.push(String(e.reason)))</script>`
        const t = await setUp(({ script }) => ({ '/a.html': html(watch + script()) }))
        t.proxy.rule = () => 'cut'
        await t.page.goto(t.site.origin + '/a.html')
        await t.page.evaluate(
          `(async () => { for (let i = 0; i < 400; i++) headlessly.track('Blocked', { i, filler: 'x'.repeat(3000) }); await headlessly.flush(); return 1 })()`,
        )
        await sleep(2000)
        assert.equal(await t.page.evaluate('faults.join()'), '')
        const stored = await t.page.evaluate(
          `Object.keys(localStorage).filter((k) => k.startsWith('hly')).reduce((n, k) => n + localStorage[k].length, 0)`,
        )
        assert.ok(
          stored > 50000 && stored * 2 <= 256 * 1024,
          `stored ${stored} characters, want something and at most 128 Ki`,
        )
        t.proxy.rule = undefined
        await t.page.evaluate(`(dispatchEvent(new Event('online')), 1)`)
        const rows = await t.until(
          "json_extract(properties, '$.i') as i, message_id",
          (rows) => rows.some((row) => +row.i === 399),
          "and event = 'Blocked'",
        )
        // The oldest went first when the room was used up; the newest have arrived.
        assert.ok(
          rows.some((row) => +row.i === 399),
          'the newest event is there',
        )
        sameOnce(rows)
      })

      it('frames, also sandboxed ones', async () => {
        const t = await setUp(({ script }) => ({
          '/a.html': html(
            script(),
            '<iframe src="/same.html"></iframe><iframe sandbox="allow-scripts" src="/boxed.html"></iframe>',
          ),
          '/same.html': html(script()),
          '/boxed.html': html(script()),
        }))
        await t.page.goto(t.site.origin + '/a.html')
        const rows = await t.until('path, anonymous_id', (rows) => rows.length > 2, "and event = 'page'")
        assert.deepEqual(rows.map((row) => row.path).sort(), ['/a.html', '/boxed.html', '/same.html'])
        const by = Object.fromEntries(rows.map((row) => [row.path, row.anonymous_id]))
        assert.equal(by['/a.html'], by['/same.html'])
        assert.notEqual(
          by['/a.html'],
          by['/boxed.html'],
          'a sandboxed frame has no storage to know the visitor from',
        )
      })

      it('a clock that is wrong, and is set meanwhile', async () => {
        const wrong = `<script>window.shift = -864e5; const real = Date.now.bind(Date); Date.now = () => real() + shift</script>`
        const t = await setUp(({ script }) => ({ '/a.html': html(wrong + script()) }))
        await t.page.goto(t.site.origin + '/a.html')
        await sleep(1300)
        for (const [name, shift] of [
          ['Forward', 36e5 * 20],
          ['Back', -36e5 * 50],
        ]) {
          await t.page.evaluate(
            `(headlessly.track('${name} before'), window.shift = ${shift}, headlessly.track('${name} after'), 1)`,
          )
          await sleep(1500)
        }
        const rows = await t.until('event, abs(epoch(received_at) - epoch(timestamp)) as off', (rows) =>
          names(rows).includes('Back after'),
        )
        for (const row of rows) assert.ok(row.off < 5, `${row.event} is ${row.off} s off`)
        for (const event of ['Forward before', 'Forward after', 'Back before', 'Back after'])
          assert.ok(names(rows).includes(event))
      })

      it('a page that replaced the built-ins, and hostile values', async () => {
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

      it('consent that is waited for: nothing is stored or sent before it', async () => {
        const spy = `<script>window.writes = []; const set = Storage.prototype.setItem; Storage.prototype.setItem = function (key, value) { writes.push(key); return set.call(this, key, value) }</script>`
        const t = await setUp(({ script }) => ({
          '/a.html': html(
            spy + script('data-consent="wait"'),
            `<script>headlessly.identify('user-9', { plan: 'pro' }); headlessly.track('Early')</script>`,
          ),
        }))
        await t.page.goto(t.site.origin + '/a.html')
        await sleep(2000)
        assert.equal(await t.page.evaluate('writes.length + document.cookie.length'), 0)
        assert.equal(t.proxy.posts.length, 0)
        await t.page.evaluate(`(headlessly.consent({ analytics: true, marketing: false }), 1)`)
        const rows = await t.until('event, consent, user_id', (rows) => names(rows).includes('Early'))
        assert.deepEqual(
          names(rows).filter((event) => ['page', 'identify', 'Early'].includes(event)),
          ['page', 'identify', 'Early'],
        )
        for (const row of rows) assert.equal(row.consent, 'analytics:granted,marketing:denied')
        assert.equal(rows.find((row) => row.event === 'Early').user_id, 'user-9')
        // And after a refusal what was kept is gone, here and on the next page.
        await t.page.evaluate(`(headlessly.optOut(), headlessly.track('Never'), 1)`)
        assert.equal(
          await t.page.evaluate(
            `Object.keys(localStorage).filter((key) => !key.startsWith('hly_c_')).length`,
          ),
          0,
        )
        await t.page.goto(t.site.origin + '/a.html?again')
        await sleep(1500)
        assert.equal(
          (await t.now('event')).some((row) => row.event === 'Never'),
          false,
        )
        assert.equal((await t.now('event', "and url like '%again'")).length, 0)
      })

      for (const [signal, code] of [
        [
          'Global Privacy Control',
          `Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })`,
        ],
        ['Do Not Track', `Object.defineProperty(navigator, 'doNotTrack', { value: '1' })`],
      ]) {
        it(signal + ' is honoured before any write', async () => {
          const spy = `<script>${code}; window.writes = 0; const set = Storage.prototype.setItem; Storage.prototype.setItem = function (k, v) { writes++; return set.call(this, k, v) }</script>`
          const t = await setUp(({ script }) => ({ '/a.html': html(spy + script()) }))
          await t.page.goto(t.site.origin + '/a.html')
          await t.page.evaluate(`(headlessly.identify('user-3'), headlessly.track('Unwanted'), 1)`)
          await sleep(1800)
          assert.equal(await t.page.evaluate('writes'), 0)
          assert.equal(t.proxy.posts.length, 0)
          await t.page.evaluate(`(headlessly.optIn(), headlessly.track('Wanted'), 1)`)
          const rows = await t.until('event', (rows) => names(rows).includes('Wanted'))
          assert.equal(names(rows).includes('Unwanted'), false)
        })
      }

      it('cookieless: nothing is stored, and no id leaves', async () => {
        const t = await setUp(({ script }) => ({ '/a.html': html(script('data-cookieless')) }))
        await t.page.goto(t.site.origin + '/a.html')
        await t.page.evaluate(`(headlessly.track('Bare'), 1)`)
        await t.until('event', (rows) => names(rows).includes('Bare'))
        assert.equal(await t.page.evaluate('localStorage.length + document.cookie.length'), 0)
        const sent = JSON.parse(t.proxy.posts[0].body)
        assert.equal(sent.context.cookieless, true)
        for (const event of sent.events)
          assert.deepEqual([event.anonymousId, event.sessionId], [undefined, undefined])
      })

      it('clicks, links, forms, copies: what and where, never what was typed', async () => {
        const t = await setUp(({ script }) => ({
          '/a.html': html(
            script(),
            `<button id="dead">Nothing happens</button><button id="live">Mail jane@example.com or 555 123 4567</button>
           <a id="out" href="http://elsewhere.test/x" target="_blank">Out</a><a id="file" href="/list.pdf">List</a>
           <div data-hly-ignore><button id="ignored">secret</button></div><p data-hly-mask><button id="masked">Jane Doe</button></p>
           <form id="order" action="/done.html"><input name="id" value="shadow"><input name="email"><input type="password" name="pw"><button id="send">Send</button></form>
           <script>live.onclick = () => { live.dataset.on = 1 }; out.onclick = file.onclick = (e) => e.preventDefault(); order.addEventListener('submit', (e) => e.preventDefault())</script>`,
          ),
        }))
        await t.page.goto(t.site.origin + '/a.html')
        await t.page.click('#dead')
        await sleep(1700)
        for (const id of ['live', 'out', 'file', 'ignored', 'masked']) await t.page.click('#' + id)
        await t.page.evaluate(
          `(() => { for (const field of order.querySelectorAll('input')) { field.value = 'hunter2'; field.dispatchEvent(new Event('input', { bubbles: true })) } return 1 })()`,
        )
        await t.page.click('#send')
        await t.page.evaluate(
          `(getSelection().selectAllChildren(live), document.dispatchEvent(new ClipboardEvent('copy', { bubbles: true })), 1)`,
        )
        await t.page.evaluate(`(live.dispatchEvent(new ClipboardEvent('copy', { bubbles: true })), 1)`)
        await sleep(1700)
        for (let i = 0; i < 3; i++) await t.page.evaluate(`(live.click(), 1)`)
        await t.page.evaluate(
          `(() => { const field = order.elements.email; field.dispatchEvent(new Event('input', { bubbles: true })); return 1 })()`,
        )
        await t.page.goto(t.site.origin + '/a.html?next')
        const rows = await t.until(
          "event, json_extract_string(properties, '$.selector') as sel, json_extract_string(properties, '$.text') as txt, properties",
          (rows) => names(rows).includes('form_abandon'),
          "and type in ('click', 'form')",
        )
        const find = (event, selector) =>
          rows.find((row) => row.event === event && (!selector || row.sel === selector))
        assert.equal(find('click', '#live')?.txt, 'Mail *** or ***')
        assert.equal(find('click', '#masked')?.txt, null)
        assert.equal(find('click', '#ignored'), undefined)
        assert.ok(find('dead_click', '#dead'), 'dead click')
        assert.equal(find('dead_click', '#live'), undefined)
        assert.match(find('outbound_click')?.properties || '', /"host":"elsewhere\.test"/)
        assert.match(find('download')?.properties || '', /list\.pdf/)
        assert.ok(find('rage_click', '#live'), 'rage click')
        assert.ok(find('copy', '#live'), 'copy')
        assert.match(find('form_submit')?.properties || '', /"id":"order".*"touched":3/)
        assert.match(find('form_abandon')?.properties || '', /"lastField":"email"/)
        assert.equal(
          rows.some((row) => /hunter2|shadow/.test(row.properties)),
          false,
        )
      })

      it('errors: thrown, rejected, reported, repeated, with causes and breadcrumbs', async () => {
        const t = await setUp(({ script }) => ({
          '/a.html': html(
            script('data-release="shop@1" data-environment="test"'),
            '<button id="go">Go</button><img id="gone" src="/gone.png"><script src="/a.js"></script>',
          ),
          '/a.js': `function inner(n) { throw new RangeError('inner ' + n) }
function outer(n) { try { inner(n) } catch (cause) { throw new Error('outer ' + n, { cause }) } }
go.onclick = function onGo() { console.warn('about to fail', { n: 1 }); outer(1) }`,
        }))
        await t.page.goto(t.site.origin + '/a.html')
        await t.page.evaluate(`fetch('/nothing?secret=1').then(() => 1)`)
        await t.page.click('#go')
        await t.page.evaluate(`(Promise.reject(new TypeError('rejected')), 1)`)
        await t.page.evaluate(
          `(() => { headlessly.setTag('area', 'shop'); headlessly.setUser({ id: 7 }); headlessly.setContext('cart', { items: 2 }); try { outer(2) } catch (e) { headlessly.captureException(e, { tags: { step: 'pay' }, extra: { n: 2 } }) } headlessly.captureMessage('low', 'warning'); for (let i = 0; i < 5; i++) setTimeout(() => { throw new Error('loop') }); return 1 })()`,
        )
        const rows = await t.until(
          'type, level, error_type, error_message, error_stack, context, release, environment, fingerprint',
          (rows) =>
            rows.some((row) => row.error_message === 'loop') && rows.some((row) => row.type === 'message'),
          "and type in ('error', 'message')",
        )
        const find = (message) => rows.filter((row) => row.error_message === message)
        const [thrown] = find('outer 1')
        assert.equal(thrown.error_type, 'Error')
        const chain = JSON.parse(thrown.error_stack)
        assert.deepEqual(
          chain.map((e) => [e.type, e.value]),
          [
            ['Error', 'outer 1'],
            ['RangeError', 'inner 1'],
          ],
        )
        assert.equal(chain[0].mechanism.handled, false)
        assert.deepEqual(
          chain[0].stacktrace
            .slice(0, 2)
            .map((f) => [f.filename.split('/').pop(), f.function.split('.').pop(), f.lineno]),
          [
            ['a.js', 'outer', 2],
            ['a.js', 'onGo', 3],
          ],
        )
        assert.deepEqual([chain[1].stacktrace[0].function, chain[1].stacktrace[0].lineno], ['inner', 1])
        assert.deepEqual([thrown.release, thrown.environment, thrown.level], ['shop@1', 'test', 'error'])
        const crumbs = JSON.parse(thrown.context).breadcrumbs
        assert.ok(
          crumbs.some(
            (c) => c.category === 'fetch' && c.data.status_code === 404 && !c.data.url.includes('secret'),
          ),
          'a fetch breadcrumb',
        )
        assert.ok(
          crumbs.some(
            (c) => c.category === 'console' && c.level === 'warning' && c.message === 'about to fail {"n":1}',
          ),
          'a console breadcrumb',
        )
        assert.ok(
          crumbs.some((c) => c.category === 'ui.click' && c.message === '#go'),
          'a click breadcrumb',
        )
        assert.equal(find('rejected')[0]?.error_type, 'TypeError')
        const [reported] = find('outer 2')
        assert.equal(JSON.parse(reported.error_stack)[0].mechanism.handled, true)
        const context = JSON.parse(reported.context)
        assert.deepEqual(
          [context.tags, context.extra, context.user, context.contexts],
          [{ area: 'shop', step: 'pay' }, { n: 2 }, { id: 7 }, { cart: { items: 2 } }],
        )
        assert.equal(find('loop').length, 1, 'a repeated error is told once')
        assert.ok(
          rows.some((row) => row.error_type === 'ResourceError' && /gone\.png/.test(row.error_message)),
        )
        assert.deepEqual(
          rows.filter((row) => row.type === 'message').map((row) => [row.error_message, row.level]),
          [['low', 'warning']],
        )
      })

      it('the calls: identities, groups, registered properties, timers, reset', async () => {
        const t = await setUp(({ script }) => ({ '/a.html': html(script('data-auto="false"')) }))
        await t.page.goto(t.site.origin + '/a.html?utm_source=news&utm_campaign=spring')
        const ids = await t.page.evaluate(`(() => {
        const h = hly
        h.register({ plan: 'free', theme: 'dark' }); h.unregister('theme'); h.timeEvent('Read')
        const before = h.getDistinctId()
        h.track('One'); h.identify('u1', { name: 'Ann' }); h.group('g1', { seats: 2 }); h.alias('u2'); h.page('Docs', { chapter: 3 })
        const during = h.getDistinctId()
        const out = { before, during, session: h.getSessionId(), all: Object.keys(h).length }
        return new Promise((resolve) => setTimeout(() => { h.track('Read', { n: 1 }); h.reset(); h.track('After'); out.after = h.getDistinctId(); resolve(out) }, 60))
      })()`)
        const rows = await t.until(
          'type, event, user_id, anonymous_id, session_id, group_id, properties, traits, utm_source, utm_campaign, context',
          (rows) => names(rows).includes('After'),
        )
        const find = (event) => rows.find((row) => row.event === event)
        assert.equal(find('One').anonymous_id, ids.before)
        assert.deepEqual(JSON.parse(find('One').properties), { plan: 'free' })
        assert.equal(find('One').session_id, ids.session)
        assert.deepEqual(
          [find('identify').user_id, JSON.parse(find('identify').traits)],
          ['u1', { name: 'Ann' }],
        )
        assert.equal(ids.during, 'u1')
        assert.equal(rows.find((row) => row.type === 'group').group_id, 'g1')
        assert.equal(rows.find((row) => row.type === 'alias').user_id, 'u2')
        assert.deepEqual(JSON.parse(rows.find((row) => row.type === 'page').properties), {
          plan: 'free',
          name: 'Docs',
          chapter: 3,
        })
        assert.ok(JSON.parse(find('Read').properties).durationMs >= 50)
        const after = find('After')
        assert.deepEqual([after.user_id, after.group_id, after.anonymous_id], [null, null, ids.after])
        assert.notEqual(ids.after, ids.before)
        assert.notEqual(after.session_id, ids.session)
        assert.deepEqual([find('One').utm_source, find('One').utm_campaign], ['news', 'spring'])
      })

      it('the stub keeps calls made before the script, in order', async () => {
        const stub = readFileSync(fileURLToPath(new URL('../../dist/stub.js', import.meta.url)), 'utf8')
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

      it('web vitals are what the web-vitals library says', async () => {
        const t = await setUp(({ script }) => ({
          '/a.html': html(
            `<script>${webVitals}; window.theirs = {}; for (const name of ['LCP', 'INP', 'CLS', 'FCP', 'TTFB']) webVitals['on' + name]((m) => { theirs[name] = [m.value, m.rating, m.attribution.target || m.attribution.largestShiftTarget || m.attribution.interactionTarget || '', m.navigationType] })</script>` +
              script(),
            `<h1 id="big" style="font-size:80px">The largest text of the page is here</h1><div id="late"></div><p class="b a">pushed down</p><button id="busy">Busy</button><a id="next" href="/b.html">next</a>
           <script>setTimeout(() => { late.style.height = '150px' }, 300); busy.onclick = () => { const end = performance.now() + 120; while (performance.now() < end); busy.textContent = 'Done' }</script>`,
          ),
          '/b.html': html(`<script>localStorage.setItem('there', 1)</script>`),
        }))
        await t.page.goto(t.site.origin + '/a.html')
        await sleep(700)
        await t.page.click('#busy')
        await sleep(700)
        await t.page.evaluate(
          `(['pagehide', 'visibilitychange'].map((type) => addEventListener(type, () => { localStorage.setItem('theirs', JSON.stringify(theirs)) })), 1)`,
        )
        await t.page.click('#next')
        await sleep(500)
        const theirs = JSON.parse(await t.page.evaluate(`localStorage.getItem('theirs')`))
        const rows = await t.until(
          "vital_name, vital_value, vital_rating, json_extract_string(properties, '$.target') as target, json_extract_string(properties, '$.navigationType') as kind",
          (rows) => rows.length >= Object.keys(theirs).length,
          "and type = 'vital' and path = '/a.html'",
        )
        const ours = Object.fromEntries(
          rows.map((row) => [
            row.vital_name,
            [row.vital_value, row.vital_rating, row.target || '', row.kind],
          ]),
        )
        if (name === 'chromium')
          assert.deepEqual(Object.keys(theirs).sort(), ['CLS', 'FCP', 'INP', 'LCP', 'TTFB'])
        assert.deepEqual(ours, theirs)
      })

      it('the page-view build', async () => {
        const t = await setUp(({ script }) => ({
          '/a.html': html(
            script('', '?auto=pageviews'),
            `<script>headlessly.track('Lite', { n: 1 }); headlessly.captureException(new Error('x')); headlessly.flush()</script>`,
          ),
        }))
        await t.page.goto(t.site.origin + '/a.html')
        await t.page.evaluate(`history.pushState({}, '', '/inside')`)
        const rows = await t.until(
          'event, path, session_id, anonymous_id',
          (rows) => rows.filter((row) => row.event === 'page').length > 1 && names(rows).includes('Lite'),
        )
        assert.deepEqual(
          rows.filter((row) => row.event === 'page').map((row) => row.path),
          ['/a.html', '/inside'],
        )
        assert.equal(new Set(rows.map((row) => row.session_id)).size, 1)
      })
    })
  }
})
