// The visit: the same pages and the same steps for everybody who records it.
export const pages = {
  '/index.html': `<h1 style="font-size:60px">Tools for small workshops</h1><div id="late"></div>
<p id="text">Serial number AB-12 is on the base.</p>
<button id="buy">Add to cart</button> <button id="dead">Does nothing</button> <button id="rage">Again</button>
<a id="out" href="http://elsewhere.test/partners">Partners</a> <a id="file" href="catalogue.pdf">Catalogue</a>
<form id="order"><input name="name"><button id="send">Order</button></form>
<form id="left"><input name="mail"></form>
<button id="throw">Throw</button> <button id="reject">Reject</button> <button id="inside">Inside</button>
<a id="next" href="second.html">Second page</a>
<img src="missing.png" alt=""> <img src="http://blocked.test/x.png" alt="">
<div style="height:3000px">long</div>
<script src="/site.js"></script>`,
  '/second.html': '<h1>The second page</h1>',
}

export const siteScript = `
const on = (id, fn) => document.getElementById(id)?.addEventListener('click', fn)
setTimeout(() => { late.style.height = '120px' }, 1200)
on('buy', () => { const end = performance.now() + 90; while (performance.now() < end); buy.textContent = 'Added' })
on('rage', () => { rage.dataset.n = (+rage.dataset.n || 0) + 1 })
on('out', (e) => e.preventDefault())
on('file', (e) => e.preventDefault())
order.addEventListener('submit', (e) => e.preventDefault())
const readStock = () => { throw new RangeError('stock is out of range') }
on('throw', () => { console.warn('about to fail'); try { readStock() } catch (cause) { throw new Error('order failed', { cause }) } })
on('reject', () => { Promise.reject(new TypeError('nobody handles this')) })
on('inside', () => { history.pushState({}, '', 'inside.html'); document.title = 'Inside' })
`

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Walks through the site at base; every wait is longer than any recorder's own timer. */
export const walk = async (page, base) => {
  await page.goto(base + '/index.html?utm_source=news&utm_campaign=spring')
  await sleep(2500)
  await page.click('#buy')
  await page.screenshot() // the frame that ends the interaction
  await page.evaluate(() => fetch('/missing.json').then(() => {}))
  await page.click('#dead')
  await sleep(4000)
  for (let i = 0; i < 4; i++) await page.click('#rage')
  await page.locator('#text').selectText()
  await page.keyboard.press('Control+C')
  await page.click('#out')
  await page.click('#file')
  await page.fill('#order input', 'Jane Doe')
  await page.click('#send')
  await page.fill('#left input', 'jane@example.com')
  await page.mouse.wheel(0, 900)
  await sleep(500)
  await page.evaluate(() => scrollTo(0, 0))
  await page.click('#inside')
  await sleep(1500)
  await page.evaluate(() => history.back())
  await sleep(1500)
  await page.click('#throw')
  await sleep(300)
  await page.click('#reject')
  await sleep(1500)
  await page.click('#next')
  await sleep(2500)
  await page.goto('about:blank')
  await sleep(2500)
}
