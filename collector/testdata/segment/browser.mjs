// Makes every call of Segment's browser SDK in Chromium, from a page on SITE,
// against a gateway whose host is given as the SDK's cdnURL only:
// node browser.mjs SITE HOST WRITEKEY
import { chromium } from 'playwright-core'

const [site, host, writeKey] = process.argv.slice(2)
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
try {
  const page = await browser.newPage()
  const faults = []
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('requestfailed', (request) => faults.push(`${request.url()}: ${request.failure()?.errorText}`))
  await page.goto(`${site}/shop?utm_source=news&utm_medium=email`)
  await page.addScriptTag({ url: `${site}/umd/index.js` })
  await page.evaluate(
    async ([cdnURL, writeKey]) => {
      const [analytics] = await window.AnalyticsNext.AnalyticsBrowser.load({ writeKey, cdnURL })
      await analytics.alias('u1', 'visitor-7') // before identify: the SDK sends the identified user otherwise
      await analytics.identify('u1', { plan: 'pro', name: 'Zoë' })
      await analytics.track('Order Completed', { revenue: 39.95, currency: 'EUR', items: [{ id: 'p1' }] }, { integrations: { Mixpanel: false } })
      await analytics.page('Docs', 'Pricing')
      await analytics.screen('Home')
      await analytics.group('g1', { company: 'ACME' })
    },
    [host, writeKey],
  )
  if (faults.length > 0) throw new Error(faults.join('\n'))
} finally {
  await browser.close()
}
