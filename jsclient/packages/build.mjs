// Builds the SDK's packages (all, or those named): ES modules, CommonJS and types, with the TypeScript compiler alone.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('.', import.meta.url))
const tsc = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')
const { compilerOptions } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'))
// The others are built on the types of sdk.
const all = ['sdk', 'analytics', 'billing', 'crm', 'marketing', 'platform', 'projects', 'cli']
const names = process.argv.slice(2)

for (const name of names.length ? names : all) {
  const dist = join(root, name, 'dist')
  rmSync(dist, { recursive: true, force: true })
  const formats = name === 'cli' ? ['esm'] : ['esm', 'cjs']
  for (const format of formats) {
    // The compiler, and Node, take a file's module format from the package.json that is nearest to it.
    mkdirSync(join(dist, format), { recursive: true })
    const type = format === 'esm' ? 'module' : 'commonjs'
    writeFileSync(join(dist, format, 'package.json'), JSON.stringify({ type }) + '\n')
    const config = join(dist, `tsconfig.${format}.json`)
    const options = { ...compilerOptions, rootDir: '../src', outDir: format }
    if (format === 'cjs') Object.assign(options, { module: 'CommonJS', moduleResolution: 'bundler' })
    writeFileSync(config, JSON.stringify({ compilerOptions: options, include: ['../src'] }))
    execFileSync(process.execPath, [tsc, '-p', config], { stdio: 'inherit' })
    rmSync(config)
  }
}
