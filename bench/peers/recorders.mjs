// Who records the visit: how each is loaded, and what it says in its requests.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'

const here = fileURLToPath(new URL('.', import.meta.url))
const ours = join(here, '../../jsclient/dist')

export const versionOf = (name) =>
  JSON.parse(readFileSync(join(here, 'node_modules', name, 'package.json'), 'utf8')).version

/** One minified script of what `code` imports, as a bundler gives it to a site; with `whole` also what it would load later. */
export const bundle = async (code, whole = false) => {
  const entry = '\0entry.js'
  const build = await rolldown({
    input: entry,
    cwd: here,
    platform: 'browser',
    logLevel: 'silent',
    transform: { define: { 'process.env.NODE_ENV': '"production"' } },
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === entry ? id : undefined),
        load: (id) => (id === entry ? code : undefined),
      },
    ],
  })
  const { output } = await build.generate({
    format: whole ? 'iife' : 'esm',
    minify: true,
    codeSplitting: !whole,
  })
  await build.close()
  return output[0].code
}

const text = (body) => (body[0] === 0x1f ? gunzipSync(body) : body).toString()
const json = (s) => {
  try {
    return JSON.parse(s)
  } catch {
    return undefined
  }
}

/** A thing said of the visit: `what` is a row of the table, `value` a vital's, `detail` anything else worth knowing. */
const said = (what, value, detail) => ({ what, value, detail })

/** Which of the visit's errors it was. */
const thrown = (value) => (/nobody handles/.test(value) ? 'unhandled rejection' : 'uncaught error')

const fromUs = (request) =>
  (json(text(request.body))?.events || []).flatMap(
    ({ type, event, properties = {}, exception, breadcrumbs }) => {
      if (type === 'page')
        return [said(properties.navigation === 'navigate' ? 'page view' : 'page view inside the app')]
      if (type === 'pageleave') return [said('page leave')]
      if (type === 'vital') return [said(properties.name, properties.value)]
      if (type === 'error') {
        const [{ type: kind }] = exception
        if (kind === 'ResourceError') return [said('resource that did not load')]
        if (kind === 'CSPViolation') return [said('content policy violation')]
        const crumbs = (breadcrumbs || []).map(({ category }) =>
          said('breadcrumb: ' + category.replace(/^ui\./, '')),
        )
        const chain = exception.length > 1 ? [said('cause of an error')] : []
        return [said(thrown(exception[0].value)), ...chain, ...crumbs]
      }
      return [said(event?.replace(/_/g, ' ') || type)]
    },
  )

const fromPostHog = (request) => {
  const body = text(request.body)
  const decoded =
    json(body) || json(Buffer.from(new URLSearchParams(body).get('data') || '', 'base64').toString())
  const events = [decoded?.batch || decoded || []].flat()
  return events.flatMap(({ event, properties: p = {} }) => {
    if (event === '$pageview') return [said(p.navigation_type ? 'page view inside the app' : 'page view')]
    if (event === '$pageleave') return [said('page leave')]
    if (event === '$rageclick') return [said('rage click')]
    if (event === '$dead_click') return [said('dead click')]
    if (event === '$copy_autocapture') return [said('copy')]
    if (event === '$autocapture') {
      if (p.$event_type === 'submit') return [said('form submit')]
      return p.$event_type === 'click' ? [said('click')] : [said('autocapture: ' + p.$event_type)]
    }
    if (event === '$exception') {
      const list = p.$exception_list || []
      return [said(thrown(list[0]?.value)), ...(list.length > 1 ? [said('cause of an error')] : [])]
    }
    if (event === '$web_vitals')
      return ['LCP', 'INP', 'CLS', 'FCP'].flatMap((name) => {
        const value = p[`$web_vitals_${name}_value`]
        return value === undefined ? [] : [said(name, value)]
      })
    return event ? [said(event)] : []
  })
}

const fromSentry = (request) => {
  const lines = text(request.body).split('\n').map(json)
  const found = []
  for (let i = 1; i < lines.length; i += 2) {
    const [{ type } = {}, item] = [lines[i], lines[i + 1]]
    if (type === 'event' && item?.exception) {
      const { values } = item.exception
      found.push(said(thrown(values.at(-1).value)))
      if (values.length > 1) found.push(said('cause of an error'))
      for (const { category } of item.breadcrumbs || [])
        found.push(said('breadcrumb: ' + category.replace(/^ui\./, '')))
    }
    if (type === 'transaction')
      found.push(said(item.contexts?.trace?.op === 'pageload' ? 'page view' : 'page view inside the app'))
    const vitals = { lcp: 'LCP', fcp: 'FCP', cls: 'CLS', ttfb: 'TTFB', inp: 'INP' }
    for (const [name, { value }] of Object.entries(item?.measurements || {}))
      if (vitals[name]) found.push(said(vitals[name], value))
    for (const span of item?.items || []) {
      const op = span.attributes?.['sentry.op']?.value
      if (span.is_segment && op === 'pageload') found.push(said('page view'))
      if (span.is_segment && op === 'navigation') found.push(said('page view inside the app'))
      const name = Object.keys(vitals).find((vital) => span.attributes?.[`browser.web_vital.${vital}.value`])
      if (name) found.push(said(vitals[name], span.attributes[`browser.web_vital.${name}.value`].value))
    }
  }
  return found
}

const fromVitals = (request) => {
  const { name, value } = json(text(request.body)) || {}
  return name ? [said(name, value)] : []
}

/** Everybody who records the visit; `at` is where the recorder sends to. */
export const recorders = async () => [
  {
    name: 'headlessly',
    title: 'ours',
    version: '',
    script: readFileSync(join(ours, 'full.js'), 'utf8'),
    tag: (src) => `<script src="${src}" data-tenant="t" data-release="shop@1"></script>`,
    init: (at) => `headlessly.init({ tenant: 't', endpoint: '${at}' })`,
    event: `headlessly.track('Order', { total: 19.9, currency: 'EUR', items: [{ sku: 'a', n: 1 }] })`,
    read: fromUs,
  },
  {
    name: 'posthog-js',
    title: 'posthog-js',
    version: versionOf('posthog-js'),
    script: await bundle(
      `import posthog from 'posthog-js/dist/module.full.no-external.js'; window.posthog = posthog`,
      true,
    ),
    init: (at) =>
      `posthog.init('phc_peer', { api_host: '${at}', defaults: '2025-05-24', disable_compression: true, opt_out_useragent_filter: true, capture_dead_clicks: true, capture_exceptions: true, capture_performance: { web_vitals: true, network_timing: false }, rageclick: true, autocapture: { capture_copied_text: true }, disable_session_recording: true, disable_surveys: true})`,
    // What its server answers: a project with these features on.
    answer: {
      supportedCompression: [],
      captureDeadClicks: true,
      autocaptureExceptions: true,
      capturePerformance: { web_vitals: true, network_timing: false },
      autocapture_opt_out: false,
      sessionRecording: false,
      surveys: false,
      heatmaps: false,
      featureFlags: {},
      flags: {},
    },
    event: `posthog.capture('Order', { total: 19.9, currency: 'EUR', items: [{ sku: 'a', n: 1 }] })`,
    read: fromPostHog,
  },
  {
    name: '@sentry/browser',
    title: '@sentry/browser with tracing',
    version: versionOf('@sentry/browser'),
    script: await bundle(
      `import { init, browserTracingIntegration, captureMessage } from '@sentry/browser'; window.Sentry = { init, browserTracingIntegration, captureMessage }`,
      true,
    ),
    init: (at) =>
      `Sentry.init({ dsn: '${at.replace('://', '://key@')}/1', release: 'shop@1', tracesSampleRate: 1, integrations: [Sentry.browserTracingIntegration()] })`,
    event: `Sentry.captureMessage('Order')`,
    read: fromSentry,
  },
  {
    name: 'web-vitals',
    title: 'web-vitals with attribution',
    version: versionOf('web-vitals'),
    script: readFileSync(join(here, 'node_modules/web-vitals/dist/web-vitals.attribution.iife.js'), 'utf8'),
    init: (at) =>
      `for (const name of ['LCP', 'INP', 'CLS', 'FCP', 'TTFB']) webVitals['on' + name](({ value }) => navigator.sendBeacon('${at}/v', JSON.stringify({ name, value })))`,
    read: fromVitals,
  },
]

/** Scripts whose size is compared: what a page loads with the features on, and with only the plain ones. */
export const sizes = async () => {
  const file = (...path) => readFileSync(join(here, 'node_modules', ...path), 'utf8')
  return [
    ['ours: everything', readFileSync(join(ours, 'full.js'), 'utf8'), ''],
    ['ours: page views', readFileSync(join(ours, 'pageviews.js'), 'utf8'), ''],
    ['ours: stub', readFileSync(join(ours, 'stub.js'), 'utf8'), ''],
    [
      'posthog-js, the file its snippet loads first',
      file('posthog-js/dist/array.js'),
      versionOf('posthog-js'),
    ],
    ['posthog-js, all in one file', file('posthog-js/dist/array.full.js'), versionOf('posthog-js')],
    [
      '@sentry/browser, errors only',
      await bundle(`import { init } from '@sentry/browser'; window.init = init`),
      versionOf('@sentry/browser'),
    ],
    [
      '@sentry/browser, with tracing (its vitals)',
      await bundle(
        `import { init, browserTracingIntegration } from '@sentry/browser'; window.x = [init, browserTracingIntegration]`,
      ),
      versionOf('@sentry/browser'),
    ],
    [
      '@segment/analytics-next',
      await bundle(`import { AnalyticsBrowser } from '@segment/analytics-next'; window.x = AnalyticsBrowser`),
      versionOf('@segment/analytics-next'),
    ],
    [
      '@rudderstack/analytics-js',
      await bundle(`import { RudderAnalytics } from '@rudderstack/analytics-js'; window.x = RudderAnalytics`),
      versionOf('@rudderstack/analytics-js'),
    ],
    [
      '@snowplow/browser-tracker',
      await bundle(
        `import { newTracker, trackPageView } from '@snowplow/browser-tracker'; window.x = [newTracker, trackPageView]`,
      ),
      versionOf('@snowplow/browser-tracker'),
    ],
    [
      'web-vitals',
      await bundle(
        `import { onLCP, onINP, onCLS, onFCP, onTTFB } from 'web-vitals'; window.x = [onLCP, onINP, onCLS, onFCP, onTTFB]`,
      ),
      versionOf('web-vitals'),
    ],
    [
      'web-vitals, with attribution',
      await bundle(
        `import { onLCP, onINP, onCLS, onFCP, onTTFB } from 'web-vitals/attribution'; window.x = [onLCP, onINP, onCLS, onFCP, onTTFB]`,
      ),
      versionOf('web-vitals'),
    ],
    [
      '@plausible-analytics/tracker',
      await bundle(`import { init, track } from '@plausible-analytics/tracker'; window.x = [init, track]`),
      versionOf('@plausible-analytics/tracker'),
    ],
  ]
}
