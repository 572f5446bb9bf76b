import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'

// What npm would publish, unpacked into a project that has nothing else.
const root = fileURLToPath(new URL('../..', import.meta.url))
const project = mkdtempSync(join(tmpdir(), 'headlessly-packages-'))
const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

const contents: Record<string, string[]> = {}

beforeAll(() => {
  for (const name of ['js', 'node']) {
    const where = join(root, 'packages', name)
    const [packed] = JSON.parse(run('npm', 'pack', where, '--json', '--ignore-scripts'))
    contents[name] = packed.files.map((file: { path: string }) => file.path).sort()
    const target = join(project, 'node_modules/@headlessly', name)
    mkdirSync(target, { recursive: true })
    run('tar', '-xzf', packed.filename, '-C', target, '--strip-components=1')
  }
  symlinkSync(join(root, 'node_modules/@types'), join(project, 'node_modules/@types'))
  symlinkSync(join(root, 'node_modules/undici-types'), join(project, 'node_modules/undici-types'))
  writeFileSync(join(project, 'package.json'), '{"type":"module"}')
}, 60_000)
afterAll(() => rmSync(project, { recursive: true, force: true }))

it('the packages hold the module, its types and a README, and nothing else', () => {
  const files = ['README.md', 'dist/index.d.ts', 'dist/index.js', 'dist/types.d.ts', 'package.json']
  expect(contents).toEqual({ js: files, node: files })
})

/** What tsc says of files, without the numbers of lines. */
const typecheck = (files: Record<string, string>, ...options: string[]): string[] => {
  for (const [file, text] of Object.entries(files)) writeFileSync(join(project, file), text)
  const tsc = join(root, 'node_modules/.bin/tsc')
  try {
    run(tsc, '--noEmit', '--strict', '--target', 'es2022', ...options, ...Object.keys(files))
    return []
  } catch (error) {
    const { stdout } = error as { stdout: string }
    return stdout
      .split('\n')
      .filter((line) => /: error /.test(line))
      .map((line) => line.replace(/\(.*?\)/, ''))
  }
}

const page = `import { Headlessly, type Breadcrumb, type Config } from '@headlessly/js'
const config: Config = { tenant: 'acme', endpoint: 'https://js.example.com', auto: ['pageviews', 'errors'], consent: 'wait' }
const client = new Headlessly(config)
client.track('Order Completed', { revenue: 19.9 })
const crumb: Breadcrumb = { category: 'ui', message: 'clicked' }
client.addBreadcrumb(crumb)
const off: () => void = client.on('ack', (ids) => ids.map((id) => id.length))
off()
`

for (const resolution of [
  ['--module', 'nodenext', '--moduleResolution', 'nodenext'],
  ['--module', 'esnext', '--moduleResolution', 'bundler'],
]) {
  it(`@headlessly/js has types under ${resolution[3]}`, () => {
    const wrong = `import { Headlessly } from '@headlessly/js'\nnew Headlessly().track(7)\nnew Headlessly({ tennant: 'x' })\n`
    const said = typecheck(
      { 'page.mts': page, 'wrong.mts': wrong },
      ...resolution,
      '--lib',
      'es2022,dom',
      '--types',
      '',
    )
    expect(said).toHaveLength(2)
    expect(said[0]).toMatch(/^wrong.mts: .*'number' is not assignable to parameter of type 'string'/)
    expect(said[1]).toMatch(/^wrong.mts: .*'tennant' does not exist in type 'Config'/)
  })
}

const server = `import { Headlessly } from '@headlessly/node'
const sent: string[] = []
const client = new Headlessly({
  tenant: 'acme',
  endpoint: 'http://gateway.test',
  handleSignals: false,
  fetch: async (_url, init) => {
    sent.push(String(init?.body))
    return new Response('{"accepted":1,"rejected":[]}', { status: 202 })
  },
})
client.track('Invoice Paid', { revenue: 19.9 }, { userId: 'user-7' })
await client.shutdown()
console.log(sent.map((body) => JSON.parse(body).events[0].event).join())
`

it('@headlessly/node has types and runs', () => {
  const options = [
    '--module',
    'nodenext',
    '--moduleResolution',
    'nodenext',
    '--types',
    'node',
    '--lib',
    'es2022',
  ]
  expect(typecheck({ 'server.mts': server }, ...options)).toEqual([])
  writeFileSync(join(project, 'server.mjs'), server.replace(': string[]', ''))
  expect(run('node', 'server.mjs').trim()).toBe('Invoice Paid')
})

it('@headlessly/js can be imported where there is no page, and stays quiet', () => {
  const text = `import { Headlessly } from '@headlessly/js'; const h = new Headlessly(); h.track('x'); console.log(typeof h.track)`
  expect(run('node', '--input-type=module', '-e', text).trim()).toBe('function')
})
