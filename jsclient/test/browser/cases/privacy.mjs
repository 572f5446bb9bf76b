// Consent, the signals of the browser, and pages that store nothing.
import assert from 'node:assert/strict'
import { sleep } from '../gateway.mjs'
import { html, names, soonTrue } from '../kit.mjs'

export const privacy = ({ it, engine }) => {
  it('consent that is waited for: nothing is stored or sent before it', async (setUp) => {
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
    // Another category says nothing of this one.
    await t.page.evaluate(`(headlessly.consent({ marketing: true }), headlessly.track('Early too'), 1)`)
    await sleep(1500)
    assert.equal(await t.page.evaluate('writes.join()'), 'hly_c_default')
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
    await t.page.evaluate(
      `(headlessly.optOut(), headlessly.consent({ marketing: true }), headlessly.track('Never'), 1)`,
    )
    assert.equal(
      await t.page.evaluate(`Object.keys(localStorage).filter((key) => !key.startsWith('hly_c_')).length`),
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
    ['Global Privacy Control', `Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })`],
    ['Do Not Track', `Object.defineProperty(navigator, 'doNotTrack', { value: '1' })`],
  ]) {
    it(signal + ' is honoured before any write', async (setUp) => {
      const spy = `<script>${code}; window.writes = 0; const set = Storage.prototype.setItem; Storage.prototype.setItem = function (k, v) { writes++; return set.call(this, k, v) }</script>`
      const t = await setUp(({ script }) => ({ '/a.html': html(spy + script()) }))
      await t.page.goto(t.site.origin + '/a.html')
      await t.page.evaluate(
        `(headlessly.identify('user-3'), headlessly.consent(), headlessly.consent(null), headlessly.track('Unwanted'), 1)`,
      )
      await sleep(1800)
      assert.equal(await t.page.evaluate('writes'), 0)
      await t.page.evaluate(`(headlessly.consent({ marketing: true }), headlessly.track('Unwanted'), 1)`)
      await sleep(1500)
      assert.equal(await t.page.evaluate('writes'), 1, 'the choice itself')
      assert.equal(t.proxy.posts.length, 0)
      await t.page.evaluate(`(headlessly.optIn(), headlessly.track('Wanted'), 1)`)
      const rows = await t.until('event', (rows) => names(rows).includes('Wanted'))
      assert.equal(names(rows).includes('Unwanted'), false)
    })
  }

  it('cookieless: nothing is stored, and no id leaves', async (setUp) => {
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

  it('an opt-out ends what is under way, and the other tabs follow it', async (setUp) => {
    const t = await setUp(({ script }) => ({ '/a.html': html(script('data-auto="false"')) }))
    const other = await engine().page()
    await t.page.goto(t.site.origin + '/a.html?1')
    await other.goto(t.site.origin + '/a.html?2')
    for (const page of [t.page, other])
      await page.evaluate(`(headlessly.track('Before'), headlessly.flush().then(() => 1))`)
    let answer
    const until = new Promise((resolve) => {
      answer = resolve
    })
    t.proxy.rule = () => ({ status: 503, until })
    const flight = () => t.proxy.posts.filter(({ body }) => body.includes('In flight'))
    // Behind the script's own listener.
    await other.evaluate(
      `(addEventListener('storage', ({ key }) => { if (key?.startsWith('hly_c_')) window.heard = true }), 1)`,
    )
    await t.page.evaluate(`(headlessly.track('In flight'), headlessly.flush(), 1)`)
    await soonTrue(() => flight().length)
    await t.page.evaluate(`(headlessly.optOut(), 1)`)
    answer()
    await soonTrue(() => flight()[0].status)
    await soonTrue(() => other.evaluate('window.heard'))
    await sleep(300)
    t.proxy.rule = undefined
    for (const page of [t.page, other]) {
      await page.evaluate(`(dispatchEvent(new Event('online')), headlessly.track('After'), 1)`)
      await page.evaluate(`headlessly.flush().then(() => 1)`)
    }
    await sleep(500)
    assert.equal(flight().length, 1, 'tried again after the opt-out')
    assert.equal(t.proxy.posts.filter(({ body }) => body.includes('After')).length, 0)
    const kept = `Object.keys(localStorage).filter((key) => !/^hly_[bc]_/.test(key)).join()`
    assert.equal(await other.evaluate(kept), '')
    await other.close()
  })

  it('a stored choice that nobody can read is none', async (setUp) => {
    const t = await setUp(({ script }) => ({
      '/a.html': html(`<script>localStorage.hly_c_default = '{"analytics'</script>` + script()),
    }))
    await t.page.goto(t.site.origin + '/a.html')
    assert.ok(names(await t.until('event', (rows) => names(rows).includes('page'))).includes('page'))
  })

  it('the attributes: sample, mask, release, environment, and what the page-view build keeps', async (setUp) => {
    const t = await setUp(({ script }) => ({
      '/none.html': html(script('data-sample="0"')),
      '/all.html': html(
        script(
          'data-sample="1" data-mask data-release="shop@2" data-environment="stage" data-ga="G-1" data-sentry-dsn="https://k@s.test/1" data-posthog-key="phc_1"',
        ),
        '<button id="b">Jane Doe</button><p id="p">public</p>',
      ),
      '/part.html': html(
        script('data-mask=".private" data-auto="clicks"'),
        '<button id="b">open</button><div class="private"><button id="c">closed</button></div>',
      ),
      '/lite-cookieless.html': html(script('data-cookieless', '?auto=pageviews')),
      '/lite-wait.html': html(script('data-consent="wait"', '?auto=pageviews')),
    }))
    await t.page.goto(t.site.origin + '/lite-cookieless.html')
    await t.until('event', (rows) => rows.length, "and path = '/lite-cookieless.html'")
    assert.equal(await t.page.evaluate('localStorage.length + document.cookie.length'), 0)
    const [sent] = t.proxy.posts.map(({ body }) => JSON.parse(body))
    assert.deepEqual(
      sent.events.map(({ type, anonymousId, sessionId }) => [type, anonymousId, sessionId]),
      [['page', undefined, undefined]],
    )
    assert.equal(sent.context.cookieless, true)

    await t.page.goto(t.site.origin + '/lite-wait.html')
    await t.page.goto(t.site.origin + '/none.html')
    await t.page.evaluate(`(headlessly.track('Unsampled'), 1)`)
    await t.page.goto(t.site.origin + '/all.html')
    await t.page.click('#b')
    await t.page.goto(t.site.origin + '/part.html')
    await t.page.click('#b')
    await t.page.click('#c')
    await t.page.evaluate(`(headlessly.flush(), 1)`)
    const rows = await t.until(
      "event, path, release, environment, context, json_extract_string(properties, '$.selector') as sel, json_extract_string(properties, '$.text') as txt",
      (rows) =>
        rows.filter((row) => row.event === 'click').length > 2 &&
        rows.some((row) => row.event === 'page' && row.path === '/all.html'),
    )
    assert.deepEqual([...new Set(rows.map((row) => row.path))].sort(), [
      '/all.html',
      '/lite-cookieless.html',
      '/part.html',
    ])
    const clicks = rows.filter((row) => row.event === 'click').map((row) => [row.path, row.sel, row.txt])
    assert.deepEqual(clicks.sort(), [
      ['/all.html', '#b', null],
      ['/part.html', '#b', 'open'],
      ['/part.html', '#c', null],
    ])
    const view = rows.find((row) => row.event === 'page' && row.path === '/all.html')
    assert.deepEqual([view.release, view.environment], ['shop@2', 'stage'])
    const all = t.proxy.posts.map(({ body }) => JSON.parse(body)).find(({ events }) => events[0].release)
    assert.deepEqual(all.context.integrations, { ga: 'G-1', sentry: 'https://k@s.test/1', posthog: 'phc_1' })
    assert.equal(
      rows.some((row) => row.path === '/part.html' && row.event === 'page'),
      false,
      'data-auto="clicks" asks for clicks only',
    )
  })

  it('beforeSend changes and drops; a listener that fails harms nobody', async (setUp) => {
    const t = await setUp(({ script }) => ({
      '/a.html': html(
        '',
        script().replace(/data-tenant="\w+"/, '') +
          `<script>
        hly.on('event', () => { throw new Error('listener') })
        hly.track('Before init')
        hly.init({ tenant: 'default', endpoint: new URL(document.querySelector('script[src]').src).origin, auto: [], beforeSend: (event) => {
          if (event.event === 'Dropped') return null
          if (event.event === 'Fails' || event.type === 'session') throw new Error('beforeSend')
          return { ...event, properties: { ...event.properties, by: 'beforeSend' } }
        } })
        for (const name of ['Dropped', 'Fails', 'Kept']) hly.track(name)
      </script>`,
      ),
    }))
    await t.page.goto(t.site.origin + '/a.html')
    const rows = await t.until('event, properties', (rows) => names(rows).includes('Kept'))
    assert.deepEqual(names(rows), ['Before init', 'Kept'])
    assert.deepEqual(JSON.parse(rows.find((row) => row.event === 'Kept').properties), { by: 'beforeSend' })
  })
}
