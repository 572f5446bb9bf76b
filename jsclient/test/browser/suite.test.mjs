// The script in three engines against our own binary. Every case asserts what
// arrived in the tables. ENGINES=firefox npm run browsers takes one engine.
import { after, before, describe, it } from 'node:test'
import { capture } from './cases/capture.mjs'
import { conduct } from './cases/conduct.mjs'
import { delivery } from './cases/delivery.mjs'
import { navigation } from './cases/navigation.mjs'
import { privacy } from './cases/privacy.mjs'
import { engines } from './engines.mjs'
import { startGateway } from './gateway.mjs'
import { setUpWith } from './kit.mjs'

const wanted = (process.env.ENGINES || 'chromium,firefox,webkit').split(',')
/** Browsers of each engine; the cases are dealt out among them. Most of a case is waiting. */
const hands = 2

let gateway
before(async () => {
  gateway = await startGateway()
})
after(() => gateway.close())

describe('browsers', { concurrency: wanted.length * hands, timeout: 600_000 }, () => {
  for (const name of wanted) {
    for (let hand = 0; hand < hands; hand++) {
      describe(`${name} ${hand + 1}`, { concurrency: 1 }, () => {
        let engine
        before(async () => {
          engine = await engines[name]()
        })
        after(() => engine.close())
        let count = 0
        const deal = (title, fn) => {
          if (count++ % hands !== hand) return
          it(title, (test) => fn((build) => setUpWith(gateway, engine)(test, build)))
        }
        for (const cases of [navigation, delivery, privacy, conduct, capture]) {
          cases({ it: deal, engine: () => engine, name })
        }
      })
    }
  }
})
