// Makes every call of Segment's Node SDK against a gateway: node node.mjs HOST WRITEKEY
import { Analytics } from '@segment/analytics-node'

const [host, writeKey] = process.argv.slice(2)
const analytics = new Analytics({ writeKey, host, flushAt: 20, maxRetries: 0 })
analytics.on('error', (error) => {
  console.error('delivery failed:', error.code, String(error.reason))
  process.exitCode = 1
})
const context = { ip: '203.0.113.9', locale: 'de-DE', app: { name: 'shop' } }
const integrations = { All: true, Mixpanel: false }
analytics.identify({ userId: 'u1', traits: { plan: 'pro', name: 'Zoë' }, context, integrations })
analytics.track({ userId: 'u1', event: 'Order Completed', properties: { revenue: 39.95, currency: 'EUR', items: [{ id: 'p1' }] }, context })
analytics.page({ anonymousId: 'a1', name: 'Pricing', category: 'Docs', properties: { url: 'https://shop.example/pricing?utm_source=news' } })
analytics.screen({ anonymousId: 'a1', name: 'Home' })
analytics.group({ userId: 'u1', groupId: 'g1', traits: { company: 'ACME' } })
analytics.alias({ userId: 'u1', previousId: 'a1' })
for (let i = 0; i < 50; i++) analytics.track({ userId: 'u1', event: 'Bulk', properties: { i }, messageId: `bulk-${i}` })
await analytics.closeAndFlush({ timeout: 15000 })
