// Opens a page in Chromium, runs its window.run(TENANT_PATH) and keeps it open until standard input ends: what the
// SDKs have yet to send goes on its way.
//
//   node visit.mjs URL [TENANT_PATH]
import { flags, launchChromium } from '../../../../jsclient/e2e/browser.mjs'

const [url, tenant = ''] = process.argv.slice(2)
// A headless browser calls itself one, and posthog-js sends nothing for bots.
const userAgent = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36'
const browser = await launchChromium({ args: [...flags, `--user-agent=${userAgent}`] })
const page = await browser.newPage()
const faults = []
page.on('console', (m) => m.type() === 'error' && faults.push(m.text()))
page.on('requestfailed', (r) => faults.push(`${r.method()} ${r.url()}: ${r.failure()?.errorText}`))
const answers = []
page.on('response', (r) => answers.push(`${r.status()} ${r.request().method()} ${new URL(r.url()).pathname}`))
await page.goto(url)
await page.waitForFunction(() => window.run)
const result = await page.evaluate((t) => window.run(t), tenant)
console.log(JSON.stringify({ ...result, faults, answers }))
await new Promise((ended) => process.stdin.on('end', ended).resume())
await browser.close()
