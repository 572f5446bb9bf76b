// A page of somebody who uses three vendors' SDKs and has pointed each at the
// gateway. It is bundled by the test.
import * as Sentry from '@sentry/browser'
import posthog from 'posthog-js'

const { gateway, dsn, sentryTunnel, measurementId, posthogKey } = JSON.parse(document.getElementById('settings').textContent)

Sentry.init({ dsn, tunnel: sentryTunnel, release: 'shop@1.2.3', environment: 'test', tracesSampleRate: 1, integrations: [Sentry.browserTracingIntegration()] })
Sentry.setUser({ id: 'user-7', email: 'seven@shop.example' })
Sentry.setTag('plan', 'pro')

/** What gtag sends, as it sends it. */
const collect = async (path) => {
  const common = new URLSearchParams({
    v: '2', tid: measurementId, gtm: '45je5b30', _p: '1234567', cid: '1111111111.2222222222', sid: '1764158400', sct: '3', seg: '1', _s: '1',
    ul: 'de-de', sr: '1920x1080', dl: location.href, dt: document.title, gcs: 'G111',
  })
  const one = new URLSearchParams(common)
  one.set('en', 'page_view')
  await fetch(`${gateway}${path}?${one}`, { method: 'POST', keepalive: true, mode: 'no-cors', credentials: 'include' })
  const lines = [
    new URLSearchParams({ en: 'purchase', 'ep.transaction_id': 'o-1', 'epn.value': '42.5', cu: 'EUR', pr1: 'idp1~nmShirt~pr21.25~qt2' }),
    new URLSearchParams({ en: 'level_up', 'ep.character': 'Ada', 'epn.level': '5', _et: '1200' }),
  ]
  navigator.sendBeacon(`${gateway}${path}?${common}`, lines.join('\r\n'))
  await new Promise((done) => {
    const image = new Image()
    image.onload = image.onerror = done
    image.src = `${gateway}${path}?${common}&en=image_hit`
  })
}

window.run = async (tenant) => {
  const log = []
  const sent = (name) => (event) => log.push({ name, uuid: event?.uuid, event: event?.event })
  await new Promise((ready) => {
    posthog.init(posthogKey, {
      api_host: gateway + tenant, persistence: 'memory', request_queue_config: { flush_interval_ms: 250 }, loaded: ready, before_send: (e) => (sent('posthog')(e), e),
      opt_out_useragent_filter: true, // a browser under remote control counts as a bot
    })
  })
  const flags = new Promise((done) => posthog.onFeatureFlags((list) => done(list)))
  posthog.capture('Signed Up', { plan: 'pro', seats: 3 })
  posthog.identify('user-7', { email: 'seven@shop.example' })
  posthog.captureException(new TypeError('posthog saw this'))
  document.getElementById('buy').click()
  const errorId = Sentry.captureException(new RangeError('sentry saw this'))
  const messageId = Sentry.captureMessage('sentry heard this', 'warning')
  Sentry.captureFeedback({ message: 'it is nice', name: 'Seven', email: 'seven@shop.example' })
  await collect(`${tenant}/g/collect`)
  const list = await flags
  await Sentry.flush(5000)
  await new Promise((later) => setTimeout(later, 1500))
  return { posthog: log, sentry: { errorId, messageId }, flags: list }
}
