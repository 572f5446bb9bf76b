// Three engines behind one small interface: open a page, go, evaluate an
// expression, click, go back, close.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import puppeteer from 'puppeteer-core'
import { flags } from '../../e2e/browser.mjs'
import { freePort, sleep } from './gateway.mjs'

/** Chromium over CDP and Firefox over WebDriver BiDi, both through puppeteer. */
const startPuppeteer = async (name, options) => {
  const browser = await puppeteer.launch({ headless: true, timeout: 120_000, ...options })
  return {
    name,
    async page() {
      const page = await browser.newPage()
      return {
        goto: (url) => page.goto(url),
        evaluate: (expression) => page.evaluate(expression),
        click: (selector) => page.click(selector),
        /** Without a screen a frame may wait for somebody to look, and with it what the frame would tell. */
        paint: () => page.screenshot(),
        back: () => page.evaluate('void setTimeout(() => history.back())').then(() => sleep(700)),
        close: () => page.close(),
      }
    },
    close: () => browser.close(),
  }
}

const startChromium = () =>
  startPuppeteer('chromium', { executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: flags })

const startFirefox = () =>
  startPuppeteer('firefox', {
    browser: 'firefox',
    executablePath: process.env.FIREFOX || '/usr/bin/firefox-esr',
  })

/** Debian keeps MiniBrowser in a folder named by the API's version. */
const miniBrowser = () => {
  for (const arch of readdirSync('/usr/lib').filter((name) => name.endsWith('-linux-gnu'))) {
    const base = '/usr/lib/' + arch
    for (const dir of readdirSync(base).filter((name) => name.startsWith('webkit2gtk'))) {
      if (existsSync(`${base}/${dir}/MiniBrowser`)) return `${base}/${dir}/MiniBrowser`
    }
  }
  throw new Error('no MiniBrowser: apt-get install webkit2gtk-driver')
}

const startWebKit = async () => {
  const port = await freePort()
  // The X server chooses a free display and says which.
  const xvfb = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  const display = ':' + (await once(xvfb.stdio[3], 'data')).toString().trim()
  const driver = spawn(
    process.env.WEBKIT_DRIVER || 'WebKitWebDriver',
    ['--port=' + port, '--host=127.0.0.1'],
    {
      stdio: 'ignore',
      env: {
        ...process.env,
        DISPLAY: display,
        WEBKIT_DISABLE_COMPOSITING_MODE: '1',
        LIBGL_ALWAYS_SOFTWARE: '1',
        NO_AT_BRIDGE: '1',
      },
    },
  )
  const call = async (method, path, body) => {
    const response = await fetch('http://127.0.0.1:' + port + path, {
      method,
      body: body && JSON.stringify(body),
    })
    const { value } = await response.json()
    if (!response.ok) throw new Error('webdriver ' + path + ': ' + JSON.stringify(value).slice(0, 300))
    return value
  }
  let session
  for (const end = Date.now() + 60_000; !session; ) {
    await sleep(300)
    try {
      const { sessionId } = await call('POST', '/session', {
        capabilities: {
          alwaysMatch: { 'webkitgtk:browserOptions': { binary: miniBrowser(), args: ['--automation'] } },
        },
      })
      session = '/session/' + sessionId
    } catch (error) {
      if (Date.now() > end) throw error
    }
  }
  // The first window stays: the session ends with the last one, and new ones are opened from it.
  const first = await call('GET', session + '/window')
  // One command at a time: the window has to be the current one meanwhile.
  let turn = Promise.resolve()
  const inWindow = (handle, fn) => {
    const result = turn.then(async () => {
      await call('POST', session + '/window', { handle })
      return fn()
    })
    turn = result.catch(() => {})
    return result
  }
  return {
    name: 'webkit',
    async page() {
      const { handle } = await inWindow(first, () => call('POST', session + '/window/new', { type: 'tab' }))
      const evaluate = (expression) =>
        inWindow(handle, () =>
          call('POST', session + '/execute/async', {
            script: `const done = arguments[arguments.length - 1]; Promise.resolve(${expression}).then(done)`,
            args: [],
          }),
        )
      return {
        goto: (url) => inWindow(handle, () => call('POST', session + '/url', { url })),
        evaluate,
        click: (selector) =>
          inWindow(handle, async () => {
            const element = await call('POST', session + '/element', {
              using: 'css selector',
              value: selector,
            })
            await call('POST', session + '/element/' + Object.values(element)[0] + '/click', {})
          }),
        // It has a screen.
        paint: async () => {},
        back: () => inWindow(handle, () => call('POST', session + '/back', {})),
        close: () => inWindow(handle, () => call('DELETE', session + '/window')),
      }
    },
    async close() {
      await call('DELETE', session).catch(() => {})
      driver.kill('SIGTERM')
      xvfb.kill('SIGTERM')
    },
  }
}

export const engines = { chromium: startChromium, firefox: startFirefox, webkit: startWebKit }
