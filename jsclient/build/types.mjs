// Writes the packages' type declarations: packages/*/dist/*.d.ts from src. They
// are committed, as the scripts are; --check only compares, and says which differ.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const check = process.argv.includes('--check')
const wanted = {
  js: { 'index.d.ts': 'index.d.ts', 'types.d.ts': 'types.d.ts' },
  node: { 'index.d.ts': 'node.d.ts', 'types.d.ts': 'types.d.ts' },
}
const read = (path) => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

const out = mkdtempSync(join(tmpdir(), 'headlessly-types-'))
try {
  const options = [
    '--noEmit',
    'false',
    '--declaration',
    '--emitDeclarationOnly',
    '--rootDir',
    'src',
    '--outDir',
    out,
  ]
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'build/tsconfig.types.json', ...options], {
    cwd: root,
    stdio: 'inherit',
  })
  for (const [name, files] of Object.entries(wanted)) {
    for (const [to, from] of Object.entries(files)) {
      const path = join(root, 'packages', name, 'dist', to)
      const text = read(join(out, from))
      if (!text) throw new Error('tsc did not write ' + from)
      if (!check) writeFileSync(path, text)
      else if (read(path) !== text) {
        process.stderr.write(
          `packages/${name}/dist/${to} is not what src gives: run npm run types and commit\n`,
        )
        process.exitCode = 1
      }
    }
  }
} finally {
  rmSync(out, { recursive: true })
}
