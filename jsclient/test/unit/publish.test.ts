import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'

// The SDK's packages as npm would publish them, installed by npm into a project that has nothing else.
const root = fileURLToPath(new URL('../..', import.meta.url))
const project = mkdtempSync(join(tmpdir(), 'headlessly-publish-'))
const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

/** Every package, and how many bytes of it may travel. */
const most: Record<string, number> = {
  sdk: 36_000,
  cli: 44_000,
  analytics: 2_000,
  billing: 2_000,
  crm: 2_000,
  marketing: 2_000,
  platform: 2_000,
  projects: 2_000,
}
const names = Object.keys(most)

interface Packed {
  name: string
  filename: string
  size: number
  unpackedSize: number
  files: { path: string }[]
}
const packed: Record<string, Packed> = {}

beforeAll(() => {
  const folders = names.map((name) => join(root, 'packages', name))
  if (folders.some((folder) => !existsSync(join(folder, 'dist/esm'))))
    run('node', join(root, 'packages/build.mjs'))
  const others = ['ws', 'yaml'].map((name) => join(root, 'node_modules', name))
  const all: Packed[] = JSON.parse(
    run('npm', 'pack', ...folders, ...others, '--json', '--ignore-scripts', '--loglevel=error'),
  )
  names.forEach((name, i) => {
    packed[name] = all[i] as Packed
  })
  writeFileSync(join(project, 'package.json'), '{"private":true}')
  const files = all.map((one) => './' + one.filename)
  run('npm', 'install', '--offline', '--no-audit', '--no-fund', '--loglevel=error', ...files)
}, 120_000)
afterAll(() => rmSync(project, { recursive: true, force: true }))

it('each package has a budget of bytes, and keeps it', () => {
  for (const name of names) {
    const { size = 0, unpackedSize = 0 } = packed[name] ?? {}
    console.log(`@headlessly/${name}: ${size} bytes packed, ${unpackedSize} unpacked`)
    expect(size, name).toBeLessThan(most[name] ?? 0)
  }
})

it('each package holds what it runs on, its types and a README, and says how it is built', () => {
  for (const name of names) {
    const files = packed[name]?.files.map((file) => file.path) ?? []
    const strange = files.filter(
      (path) => !/^(package\.json|README\.md|bin\/.*\.js|dist\/.*(\.js|\.d\.ts|package\.json))$/.test(path),
    )
    expect(strange, name).toEqual([])
    expect(files, name).toContain('README.md')
    const manifest = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'))
    expect(manifest.scripts.prepack).toBe(`node ../build.mjs ${name}`)
    const exported = JSON.stringify(manifest.exports ?? manifest.bin).match(/\.\/[^"]+/g) ?? []
    for (const path of exported) expect(files, name).toContain(path.slice(2))
  }
})

const uses = `import { $, Headlessly, HeadlesslyError, type Options, verifyWebhook } from '@headlessly/sdk'
import { Event, Metric } from '@headlessly/analytics'
import { Customer, Subscription } from '@headlessly/billing'
import { Contact, Deal } from '@headlessly/crm'
import { Campaign } from '@headlessly/marketing'
import { Agent, Integration } from '@headlessly/platform'
import { Issue, Project } from '@headlessly/projects'

const options: Options = { tenant: 'acme', apiKey: 'hly_sk_x', url: 'http://127.0.0.1:1' }
const acme = Headlessly(options)
export async function all(): Promise<string[]> {
  const made = await Contact.create({ name: 'Ada', stage: 'Lead' })
  const stage: 'Lead' | 'Qualified' | 'Customer' | 'Churned' | 'Partner' | undefined = made.stage
  await Contact.update(made.$id, { stage: 'Customer' })
  await Contact.update({ id: made.$id, stage: 'Customer' })
  const page = await Integration.find({ status: 'Active' }, { limit: 5 })
  for await (const one of page.all()) console.log(one.provider, one.lastSyncAt)
  const rows = await acme.sql<{ n: number }>('select count(*) as n from events')
  Subscription.cancelled((sub, $) => {
    $.Contact.update(sub.contact, { stage: 'Churned' })
  })
  Deal.closing((deal, $, ...rest) => ({ name: deal.name + rest.length + typeof $ }))
  try {
    await verifyWebhook('{}', {}, 'whsec_x')
  } catch (error) {
    if (error instanceof HeadlesslyError) console.log(error.code, error.field)
  }
  return [stage ?? '', String(rows[0]?.n)]
}
const types = [Event, Metric, Customer, Subscription, Contact, Deal, Campaign, Agent, Integration, Issue, Project]
console.log(types.map((type) => typeof type.create).join(), typeof $.Contact.find, typeof all)
`

const strict = [
  '--noEmit',
  '--strict',
  '--exactOptionalPropertyTypes',
  '--noUncheckedIndexedAccess',
  '--noImplicitOverride',
  '--noUnusedLocals',
  '--noUnusedParameters',
  '--noFallthroughCasesInSwitch',
  '--skipLibCheck',
  'false',
  '--target',
  'es2022',
]

/** What tsc says of a file, without the numbers of lines. */
const typecheck = (file: string, text: string, ...options: string[]): string[] => {
  writeFileSync(join(project, file), text)
  try {
    run(join(root, 'node_modules/.bin/tsc'), ...strict, ...options, file)
    return []
  } catch (error) {
    const said = (error as { stdout: string }).stdout.split('\n')
    return said.filter((line) => /error /.test(line)).map((line) => line.replace(/\(.*?\)/, ''))
  }
}

const node = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types'), '--lib', 'es2022']
const page = ['--types', '', '--lib', 'es2022,dom,dom.iterable,dom.asynciterable']
const resolution = (name: string) => [
  '--module',
  name === 'bundler' ? 'esnext' : name,
  '--moduleResolution',
  name,
]

for (const [how, file, ...options] of [
  ['an ES module of Node', 'uses.mts', ...resolution('nodenext'), ...node],
  ['CommonJS of Node', 'uses.cts', ...resolution('nodenext'), ...node],
  ['a bundler, for a page', 'uses.ts', ...resolution('bundler'), ...page],
] as [string, string, ...string[]][]) {
  it(`the types hold under strict settings in ${how}`, () => {
    expect(typecheck(file, uses, ...options)).toEqual([])
  })
}

it('the types refuse what the graph would refuse', () => {
  const wrong = `import { Contact, Deal } from '@headlessly/crm'
Contact.create({ name: 'A', stage: 'Nope' })
Contact.create({ email: 7 })
Deal.won((deal) => deal.name.toFixed())
Contact.qualfy('contact_x')
`
  const said = typecheck('wrong.mts', wrong, ...resolution('nodenext'), ...node)
  expect(said, said.join('\n')).toHaveLength(4)
  expect(said[0]).toMatch(/'"Nope"' is not assignable/)
  expect(said[3]).toMatch(/'qualfy' does not exist/)
})

const calls = `
globalThis.fetch = async (url, init) => {
  const { pathname } = new URL(url)
  if (init.headers.Authorization !== 'Bearer hly_sk_x') return new Response('{"error":"unauthorized","message":"no"}', { status: 401 })
  if (pathname === '/~acme/Deal/deal_x') return new Response('{"error":"not_found","message":"no such Deal","field":"id"}', { status: 404 })
  return new Response(JSON.stringify({ $id: 'contact_x', path: pathname, ...JSON.parse(init.body) }), { status: 201 })
}
const acme = Headlessly({ tenant: 'acme', apiKey: 'hly_sk_x', url: 'http://gateway.test' })
Promise.all([
  Contact.create({ name: 'Ada' }),
  acme.Deal.get('deal_x').catch((error) => error),
]).then(([made, fault]) => {
  const same = fault instanceof HeadlesslyError && fault instanceof platform.HeadlesslyError
  console.log(made.$id, made.name, made.path, fault.code, fault.field, fault.status, same)
})
`
const environment = {
  ...process.env,
  HEADLESSLY_TENANT: 'default',
  HEADLESSLY_API_KEY: 'hly_sk_x',
  HEADLESSLY_URL: 'http://gateway.test',
}
const expected = 'contact_x Ada /~default/Contact not_found id 404 true'

it('an ES module imports them, and runs', () => {
  const text = `import { Headlessly, HeadlesslyError } from '@headlessly/sdk'
import { Contact } from '@headlessly/crm'
import * as platform from '@headlessly/platform'
${calls}`
  writeFileSync(join(project, 'runs.mjs'), text)
  expect(
    execFileSync('node', ['runs.mjs'], { cwd: project, encoding: 'utf8', env: environment }).trim(),
  ).toBe(expected)
})

it('CommonJS requires them, and runs', () => {
  const text = `const { Headlessly, HeadlesslyError } = require('@headlessly/sdk')
const { Contact } = require('@headlessly/crm')
const platform = require('@headlessly/platform')
${names
  .filter((name) => name !== 'cli')
  .map((name) => `require('@headlessly/${name}')`)
  .join('\n')}
${calls}`
  writeFileSync(join(project, 'runs.cjs'), text)
  expect(
    execFileSync('node', ['runs.cjs'], { cwd: project, encoding: 'utf8', env: environment }).trim(),
  ).toBe(expected)
})

it('the command line is there, and says what it can', () => {
  expect(run(join(project, 'node_modules/.bin/headlessly'), '--help')).toMatch(
    /Integration\.connect --provider stripe/,
  )
})
