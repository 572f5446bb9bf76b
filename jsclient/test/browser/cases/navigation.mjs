// Page views: loads, the back/forward cache, single-page apps, frames, and the page-view build.
import assert from 'node:assert/strict'
import { sleep } from '../gateway.mjs'
import { html, names, sameOnce, soonTrue } from '../kit.mjs'

export const navigation = ({ it, engine, name }) => {
  it('a page that is left at once delivers what it had', async (setUp) => {
    const t = await setUp(({ script }) => ({
      '/a.html': html(script(), `<a id="next" href="/b.html">b</a><script>headlessly.track('Left')</script>`),
      '/b.html': html('', 'b has no script'),
    }))
    await t.page.goto(t.site.origin + '/a.html')
    await t.page.click('#next')
    const rows = await t.until('event, message_id', (rows) => rows.some((row) => row.event === 'pageleave'))
    for (const event of ['page', 'Left', 'click', 'pageleave'])
      assert.ok(names(rows).includes(event), event + ' in ' + names(rows))
    sameOnce(rows)
    assert.equal(t.proxy.preflights, 0)
  })

  it('a page from the back/forward cache is a page view again', async (setUp) => {
    const t = await setUp(({ script }) => ({
      '/a.html': html(
        script(),
        `<a id="next" href="/b.html">b</a><script>addEventListener('pageshow', (e) => { if (e.persisted) document.title = 'persisted' })</script>`,
      ),
      '/b.html': html(script(), 'b'),
    }))
    await t.page.goto(t.site.origin + '/a.html')
    await sleep(1500)
    // A page with a request under way is not kept.
    await soonTrue(() => t.proxy.posts.length && t.proxy.posts.every(({ status }) => status))
    await t.page.click('#next')
    // Also the other page's view has been told.
    await soonTrue(() => t.proxy.posts.some(({ body }) => body.includes('"path":"/b.html"')))
    await sleep(500)
    await t.page.back()
    const restored = () =>
      t.page.evaluate('document.title').then(
        (title) => title === 'persisted',
        () => false,
      )
    if (name === 'webkit') await sleep(500)
    else await soonTrue(restored).catch(() => {})
    const persisted = await restored()
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
    it(`a single-page app counts its views (${router === 'native' ? 'as the engine does it' : 'History API only'})`, async (setUp) => {
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

  it('a single-page app by fragment counts its views where it asks for it', async (setUp) => {
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

  it('frames, also sandboxed ones', async (setUp) => {
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

  it('the page-view build', async (setUp) => {
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

  it('a session keeps its campaign, the next one does not; first and last touch stay', async (setUp) => {
    const t = await setUp(({ script }) => ({ '/a.html': html(script('data-auto="pageviews"')) }))
    const visit = async (query) => {
      await t.page.goto(t.site.origin + '/a.html?' + query)
      await t.page.evaluate(`(headlessly.flush(), 1)`)
      await sleep(100)
    }
    await visit('n=1&utm_source=news&utm_campaign=spring')
    await visit('n=2')
    // Half an hour passes.
    await t.page.evaluate(
      `(() => { const v = JSON.parse(localStorage.hly_default); v.t -= 31 * 60000; localStorage.hly_default = JSON.stringify(v); return 1 })()`,
    )
    await visit('n=3')
    await visit('n=4&gclid=abc')
    const rows = await t.until(
      "query, utm_source, click_id, click_id_kind, session_id, json_extract_string(context, '$.firstTouch.source') as first, json_extract_string(context, '$.lastTouch.source') as last, json_extract_string(context, '$.lastTouch.gclid') as last_click",
      (rows) => rows.length > 3,
      "and event = 'page'",
    )
    const seen = rows.map((row) => [row.utm_source, row.click_id, row.first, row.last, row.last_click])
    assert.deepEqual(seen, [
      ['news', null, 'news', 'news', null],
      ['news', null, 'news', 'news', null],
      [null, null, 'news', 'news', null],
      [null, 'abc', 'news', null, 'abc'],
    ])
    const [one, two, three, four] = rows.map((row) => row.session_id)
    assert.equal(one, two)
    assert.equal(new Set([one, three, four]).size, 3, 'half an hour, and a new campaign, begin sessions')
  })

  it('a campaign that stays in the address, or that of another tab, begins no session', async (setUp) => {
    const t = await setUp(({ script }) => ({ '/a.html': html(script('data-auto="pageviews"')) }))
    await t.page.goto(t.site.origin + '/a.html?n=1&utm_source=news')
    for (const n of [2, 3]) {
      await t.page.evaluate(`(history.pushState({}, '', '?n=${n}&utm_source=news'), 1)`)
      await sleep(120)
    }
    await t.page.evaluate(`headlessly.flush().then(() => 1)`)
    const other = await engine().page()
    await other.goto(t.site.origin + '/a.html?n=4&utm_source=mail')
    // The browser hands what one tab stores to the others in its own time.
    await soonTrue(() => t.page.evaluate(`JSON.stringify(localStorage).includes('mail')`))
    for (const [page, n] of [
      [t.page, 5],
      [other, 6],
      [t.page, 7],
    ])
      await page.evaluate(`(headlessly.track('Turn ${n}'), headlessly.flush().then(() => 1))`)
    const rows = await t.until(
      'event, session_id',
      (rows) => names(rows).includes('Turn 7') && rows.length > 6,
      "and event in ('page', 'Turn 5', 'Turn 6', 'Turn 7')",
    )
    await other.close()
    const sessions = [...new Set(rows.map((row) => row.session_id))]
    assert.deepEqual(
      rows.map((row) => sessions.indexOf(row.session_id) + 1),
      [1, 1, 1, 2, 2, 2, 2],
    )
  })

  it('a client that a script begins ahead of the view waits for it; a title may come after the script', async (setUp) => {
    const t = await setUp(({ script }) => ({
      '/a.html': html(
        `<script>window.ahead = true; Object.defineProperty(document, 'prerendering', { get: () => ahead })</script>` +
          script().replace(/data-tenant="\w+"/, '') +
          `<script>hly.init({ tenant: 'default', endpoint: new URL(document.querySelector('script[src]').src).origin })</script><title>Late</title>`,
      ).replace('<title>t</title>', ''),
    }))
    await t.page.goto(t.site.origin + '/a.html')
    await sleep(1500)
    assert.equal(t.proxy.posts.length, 0, 'told of a page that nobody sees')
    await t.page.evaluate(
      `(window.ahead = false, document.dispatchEvent(new Event('prerenderingchange')), 1)`,
    )
    await t.until('event', (rows) => names(rows).includes('page'))
    await t.page.goto('about:blank')
    const t2 = await setUp(({ script }) => ({
      '/b.html': html(script('data-consent="wait"') + '<title>Late</title>').replace('<title>t</title>', ''),
    }))
    await t2.page.goto(t2.site.origin + '/b.html')
    await t2.page.evaluate(`(headlessly.consent('granted'), 1)`)
    const [row] = await t2.until('title', (rows) => rows.length, "and event = 'page'")
    assert.equal(row.title, 'Late')
  })

  it('the page-view build keeps a bounded queue, and nothing that may count twice or was refused', async (setUp) => {
    const fill = `<script>if (!localStorage.length) {
      const put = (key, time, i) => { localStorage['hly_q_default_' + key] = time + '\\nx\\n"events":[{"type":"track","event":"' + i + '","url":"' + location.href + '"}]}' }
      put('00', -(Date.now() - 30 * 36e5), 'In doubt for too long')
      put('01', -(Date.now() - 36e5), 'In doubt')
      for (let i = 100; i < 220; i++) put(i, Date.now() - 36e5, 'Failed')
      put('01z', Date.now() - 36e5, 'Too many')
    }</script>`
    const t = await setUp(({ script }) => ({
      '/a.html': html(fill + script('', '?auto=pageviews')),
      '/refused.html': html(
        `<script>localStorage.hly_c_default = '"denied"'</script>` + fill + script('', '?auto=pageviews'),
      ),
    }))
    t.proxy.rule = () => ({ status: 503 })
    await t.page.goto(t.site.origin + '/a.html')
    const sent = () =>
      t.proxy.posts.flatMap(({ body }) => JSON.parse(body).events.map(({ event, type }) => event || type))
    // Its own come last.
    await soonTrue(() => sent().filter((event) => event === 'Failed').length > 99 && sent().includes('page'))
    const kept = `Object.keys(localStorage).filter((key) => key.startsWith('hly_q_')).length`
    assert.ok((await t.page.evaluate(kept)) <= 102, 'the hundred newest, and those of this page')
    assert.equal(sent().includes('In doubt for too long'), false)
    assert.equal(sent().includes('Too many'), false)
    const before = t.proxy.posts.length
    await t.page.evaluate(`(localStorage.hly_c_default = '"denied"', 1)`)
    await t.page.goto(t.site.origin + '/a.html?refused')
    await sleep(500)
    assert.equal(t.proxy.posts.length, before)
    assert.equal(await t.page.evaluate(kept), 0)
  })

  it('a page leave says how long and how far', async (setUp) => {
    const t = await setUp(({ script }) => ({
      '/a.html': html(script(), '<div style="height:4000px">long</div>'),
      '/b.html': html('', 'b'),
    }))
    await t.page.goto(t.site.origin + '/a.html')
    await sleep(2500)
    await t.page.evaluate(`(scrollTo(0, 1e6), 1)`)
    await sleep(200)
    await t.page.goto(t.site.origin + '/b.html')
    const rows = await t.until(
      "json_extract(properties, '$.engagedMs')::int as engaged, json_extract(properties, '$.scrollDepth')::int as depth",
      (rows) => rows.length,
      "and event = 'pageleave'",
    )
    assert.equal(rows.length, 1)
    assert.ok(rows[0].depth >= 99, `scrolled to ${rows[0].depth} %, want the end`)
    // WebKit's windows have no focus here: there is no window manager to give it.
    if (name !== 'webkit')
      assert.ok(rows[0].engaged >= 1000 && rows[0].engaged < 60000, `engaged for ${rows[0].engaged} ms`)
  })

  for (const lite of name === 'chromium' ? ['', '-lite'] : []) {
    it(`a page that is rendered ahead counts when somebody sees it${lite && ', in the page-view build too'}`, async (setUp) => {
      const ahead = `/b${lite}.html`
      const rules = JSON.stringify({ prerender: [{ urls: [ahead], eagerness: 'immediate' }] })
      let ran = 0
      const t = await setUp(({ script }) => ({
        '/a.html': html(
          script('data-auto="pageviews"') + `<script type="speculationrules">${rules}</script>`,
          `<a id="next" href="${ahead}">b</a>`,
        ),
        [ahead]: html(
          script('data-auto="pageviews"', lite && '?auto=pageviews') +
            `<script>headlessly.track('Ahead'); fetch('/ran')</script>`,
        ),
        get '/ran'() {
          return String(++ran)
        },
      }))
      await t.page.goto(t.site.origin + '/a.html')
      await soonTrue(() => ran)
      await sleep(1500)
      const before = await t.until('path', (rows) => rows.length, "and event in ('page', 'Ahead')")
      assert.deepEqual(
        before.map((row) => row.path),
        ['/a.html'],
      )
      await t.page.click('#next')
      const rows = await t.until(
        "event, path, json_extract_string(properties, '$.navigation') as how",
        (rows) => rows.length > 2,
        "and event in ('page', 'Ahead')",
      )
      assert.deepEqual(
        rows.map((row) => [row.event, row.path, row.how]),
        [
          ['page', '/a.html', 'navigate'],
          ['page', ahead, 'prerender'],
          ['Ahead', ahead, null],
        ],
      )
    })
  }
}
