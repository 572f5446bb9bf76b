// How events get there: networks and gateways that fail, several tabs, wrong clocks.
import assert from 'node:assert/strict'
import { sleep } from '../gateway.mjs'
import { html, names, sameOnce, soonTrue } from '../kit.mjs'

export const delivery = ({ it, engine }) => {
  it('what is captured while the network is away arrives when it is back, once', async (setUp) => {
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

  it('two tabs share what failed, and nobody sends it twice', async (setUp) => {
    const t = await setUp(({ script }) => ({ '/a.html': html(script()) }))
    t.proxy.rule = () => ({ status: 503 })
    const other = await engine().page()
    await t.page.goto(t.site.origin + '/a.html?tab=1')
    // A page notes its visitor once it has a quiet moment.
    await soonTrue(() => t.page.evaluate('!!localStorage.hly_default'))
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

  it('a frame that may neither store nor lock tries again, too', async (setUp) => {
    const t = await setUp(({ script }) => ({
      '/a.html': html('', '<iframe sandbox="allow-scripts" src="/boxed.html"></iframe>'),
      '/boxed.html': html(script('data-auto="false"'), `<script>headlessly.track('Boxed')</script>`),
    }))
    t.proxy.rule = (_post, number) => (number === 1 ? { status: 503 } : undefined)
    await t.page.goto(t.site.origin + '/a.html')
    const rows = await t.until('event, message_id', (rows) => names(rows).includes('Boxed'))
    assert.deepEqual(names(rows), ['Boxed'])
    assert.equal(t.proxy.posts[0].status, 503)
  })

  it('flush resolves when every answer is in, also that of an earlier batch', async (setUp) => {
    const t = await setUp(({ script }) => ({ '/a.html': html(script('data-auto="false"')) }))
    t.proxy.rule = (post) => (post.body.includes('Flushed 0') ? { delay: 1500 } : undefined)
    await t.page.goto(t.site.origin + '/a.html')
    const missing = await t.page.evaluate(`(async () => {
      const sent = new Set()
      headlessly.on('event', (event) => sent.add(event.messageId))
      headlessly.on('ack', (ids) => ids.forEach((id) => sent.delete(id)))
      for (let i = 0; i < 30; i++) headlessly.track('Flushed ' + i, { filler: 'x'.repeat(6000) })
      await headlessly.flush()
      return sent.size
    })()`)
    assert.equal(missing, 0, 'events without an answer when flush resolved')
    assert.ok(t.proxy.posts.length > 2, 'several batches')
  })

  it('a batch that another tab has sent meanwhile is not told as lost; one from a clock that was ahead is sent', async (setUp) => {
    const fill = `<script>
      const put = (i, time) => {
        const messageId = '00000000-0000-7000-a000-' + ('' + Date.now()).slice(-11) + i
        const event = JSON.stringify({ messageId, type: 'track', event: 'Stored ' + i, url: location.href })
        localStorage['hly_q_default_0' + i] = time + '\\n' + messageId + '\\n"events":[' + event + ']}'
      }
      if (!localStorage.length) { put(1, Date.now()); put(2, Date.now()); put(3, -Date.now() - 36e5) }
    </script>`
    const t = await setUp(({ script }) => ({
      '/a.html': html(
        fill +
          script('data-auto="false"') +
          `<script>window.dropped = []; headlessly.on('drop', (ids, reason) => dropped.push(ids + ' ' + reason))</script>`,
      ),
    }))
    let answer
    const until = new Promise((resolve) => {
      answer = resolve
    })
    t.proxy.rule = (post) => (post.body.includes('Stored 1') ? { until } : undefined)
    await t.page.goto(t.site.origin + '/a.html')
    await soonTrue(() => t.proxy.posts.some(({ body }) => body.includes('Stored 1')))
    await t.page.evaluate(`(delete localStorage.hly_q_default_02, 1)`)
    answer()
    const rows = await t.until('event', (rows) => names(rows).includes('Stored 3'))
    assert.deepEqual(names(rows).sort(), ['Stored 1', 'Stored 3'])
    assert.equal(await t.page.evaluate('dropped.join()'), '')
  })

  it('a last batch that no beacon takes is sent by the next page', async (setUp) => {
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

  it('a slow gateway gets each event once', async (setUp) => {
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
    const sent = t.proxy.posts.flatMap((post) => JSON.parse(post.body).events.map((event) => event.messageId))
    assert.equal(new Set(sent).size, sent.length, 'sent twice')
  })

  it('a failing gateway is left alone for as long as it asks', async (setUp) => {
    const t = await setUp(({ script }) => ({ '/a.html': html(script('data-auto="pageviews,errors"')) }))
    t.proxy.rule = (_post, number) =>
      number === 1 ? { status: 503, headers: { 'Retry-After': '3' } } : undefined
    await t.page.goto(t.site.origin + '/a.html')
    await soonTrue(() => t.page.evaluate(`!!localStorage.hly_b_default`))
    // That the network is back does not make the gateway ready.
    await t.page.evaluate(`(dispatchEvent(new Event('online')), headlessly.track('Later'), 1)`)
    const rows = await t.until('event, message_id', (rows) => names(rows).includes('Later'))
    assert.ok(names(rows).includes('page'))
    sameOnce(rows)
    const pause = t.proxy.posts[1].at - t.proxy.posts[0].at
    assert.ok(pause >= 2950, `the next request came after ${pause} ms, want at least 3000`)
  })

  it('a batch that is refused for good is given up, and said so', async (setUp) => {
    const t = await setUp(({ script }) => ({ '/a.html': html(script()) }))
    t.proxy.rule = (post) => (post.body.includes('Refused') ? { status: 403 } : undefined)
    await t.page.goto(t.site.origin + '/a.html')
    await sleep(1300)
    await t.page.evaluate(
      `(window.dropped = [], headlessly.on('drop', (ids, reason) => dropped.push(reason)), headlessly.track('Refused'), 1)`,
    )
    await soonTrue(() => t.page.evaluate('dropped.length'))
    assert.equal(await t.page.evaluate('dropped.join()'), 'status 403')
    await t.page.evaluate(`(headlessly.track('Next'), 1)`)
    const rows = await t.until('event', (rows) => names(rows).includes('Next'))
    assert.equal(names(rows).includes('Refused'), false)
    assert.equal(t.proxy.posts.filter((post) => post.body.includes('Refused')).length, 1)
  })

  it('an ad blocker that aborts every request does not reach the page', async (setUp) => {
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

  it('a clock that is wrong, and is set meanwhile', async (setUp) => {
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
    // The clock is hours off; what remains is how long the request took.
    for (const row of rows) assert.ok(row.off < 60, `${row.event} is ${row.off} s off`)
    for (const event of ['Forward before', 'Forward after', 'Back before', 'Back after'])
      assert.ok(names(rows).includes(event))
  })

  it('where a page may send no requests, images deliver, large events trimmed', async (setUp) => {
    const t = await setUp(({ script, proxy }) => ({
      '/a.html': {
        body: html(script()),
        headers: {
          'Content-Security-Policy': `default-src 'none'; script-src ${proxy.origin}; connect-src 'none'; img-src data: ${proxy.origin}`,
        },
      },
    }))
    await t.page.goto(t.site.origin + '/a.html')
    await t.page.evaluate(
      `(window.acked = [], headlessly.on('ack', (ids) => acked.push(...ids)), headlessly.track('Small', { n: 1 }), headlessly.track('Large', { text: '日本語'.repeat(5000) }), 1)`,
    )
    const rows = await t.until('event, error_type, properties, context, message_id, timezone', (rows) =>
      ['page', 'Small', 'Large'].every((event) => names(rows).includes(event)),
    )
    sameOnce(rows)
    const find = (event) => rows.find((row) => row.event === event)
    assert.deepEqual(JSON.parse(find('Small').properties), { n: 1 })
    assert.match(find('Large').properties, /…"/)
    assert.match(find('Large').properties + find('Large').context, /"trimmed":true/)
    assert.ok(find('Small').timezone, 'the context came too')
    assert.equal(
      rows.some((row) => row.error_type === 'CSPViolation'),
      false,
      'our own blocked requests are not told: each would be another',
    )
    // An image that loads is an answer.
    await soonTrue(() => t.page.evaluate('acked.length >= 3'))
    await soonTrue(() => t.page.evaluate(`!Object.keys(localStorage).some((k) => k.startsWith('hly_q'))`))
  })

  it('requests that outlive their pages share what the browser grants, over all tabs', async (setUp) => {
    // Before the script: each tab notes what it has under way with keepalive, and since when.
    const watch = `<script>
      const real = window.fetch
      window.notes = []
      const note = (change) => notes.push([Date.now(), change])
      window.fetch = (url, init) => {
        if (!init?.keepalive) return real(url, init)
        const size = init.body.size || new TextEncoder().encode(init.body).length
        note(size)
        return real(url, init).finally(() => note(-size))
      }
    </script>`
    const t = await setUp(({ script }) => ({ '/a.html': html(watch + script('data-auto="false"')) }))
    const other = await engine().page()
    await t.page.goto(t.site.origin + '/a.html?1')
    await other.goto(t.site.origin + '/a.html?2')
    t.proxy.rule = () => ({ delay: 3000 })
    // Text that does not shrink much.
    const burst = (tab) => `(async () => {
      for (let i = 0; i < 3; i++) {
        const text = Array.from({ length: 7000 }, () => Math.random().toString(36)[3]).join('')
        headlessly.track('Heavy ${tab} ' + i, { a: text, b: text, c: text })
        headlessly.flush()
        await new Promise((done) => setTimeout(done, 150))
      }
      return 1
    })()`
    await Promise.all([t.page.evaluate(burst(1)), other.evaluate(burst(2))])
    const notes = () => Promise.all([t.page, other].map((page) => page.evaluate('notes')))
    const rows = await t.until('event, message_id', (rows) => names(rows).length >= 6)
    sameOnce(rows)
    assert.equal(names(rows).filter((event) => event.startsWith('Heavy')).length, 6)
    const underWay = async () => (await notes()).flat().reduce((sum, [, change]) => sum + change, 0)
    await soonTrue(async () => (await underWay()) === 0)
    let now = 0
    let most = 0
    // Of one millisecond, what has ended comes first.
    for (const [, change] of (await notes()).flat().sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
      now += change
      most = Math.max(most, now)
    }
    assert.ok(most > 0, 'no request used keepalive')
    assert.ok(most <= 65536, `${most} bytes under way with keepalive at once, browsers grant 65536`)
    await other.close()
  })

  it('a large batch goes compressed, and still without a preflight', async (setUp) => {
    const t = await setUp(({ script }) => ({ '/a.html': html(script('data-auto="false"')) }))
    await t.page.goto(t.site.origin + '/a.html')
    await t.page.evaluate(
      `(async () => { for (let i = 0; i < 40; i++) headlessly.track('Many ' + i, { page: location.href, i }); await headlessly.flush(); return 1 })()`,
    )
    const rows = await t.until('event, message_id', (rows) => names(rows).length >= 40)
    assert.equal(names(rows).length, 40)
    const [post] = t.proxy.posts.filter(({ body }) => body.includes('Many 39'))
    assert.ok(post.bytes * 3 < post.body.length, `${post.bytes} bytes for ${post.body.length}`)
    assert.equal(t.proxy.preflights, 0)
  })
}
