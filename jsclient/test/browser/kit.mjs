// What every case needs: a page, and the rows it left.
import assert from 'node:assert/strict'
import { sleep, startPages, startProxy } from './gateway.mjs'

export const html = (head, body = '') =>
  `<!doctype html><html><head><meta charset="utf-8"><title>t</title><link rel="icon" href="data:,">${head}</head><body>${body}</body></html>`

/** The events of rows, without those that come along. */
export const names = (rows) =>
  rows.map((row) => row.event).filter((event) => !['session', 'vital'].includes(event))

/** Waits until the page says yes; how long that may take depends on the machine. */
export const soonTrue = async (ask) => {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(100)) if (await ask()) return
  throw new Error('not within a minute: ' + ask)
}

export const sameOnce = (rows) =>
  assert.equal(
    new Set(rows.map((row) => row.message_id)).size,
    rows.length,
    'a message id twice in the table',
  )

/** Sets a case up: a proxy, a site of its own origin, one page. Called with what it has to undo. */
export const setUpWith = (gateway, engine) => async (test, build) => {
  const proxy = await startProxy(gateway)
  const script = (attributes = '', query = '') =>
    `<script src="${proxy.origin}/v1${query}" data-tenant="default" ${attributes}></script>`
  const site = await startPages(build({ script, proxy }))
  const page = await engine.page()
  test.after(async () => {
    await page.close().catch(() => {})
    site.close()
    proxy.close()
  })
  // In the order in which the page made them: by its own clock. The column timestamp is corrected by how
  // long each request took, so two of one millisecond that went in different requests may change places in it.
  const rows = (columns, also = '') =>
    `select ${columns} from events where url like '${site.origin}/%' ${also} order by original_ts, message_id`
  return {
    proxy,
    site,
    page,
    /** Asks for this origin's rows until they are as wanted. */
    until: (columns, ok, also) => gateway.until(rows(columns, also), ok),
    now: (columns, also) => gateway.sql(rows(columns, also)),
  }
}
