// Minifies: a JSON array of scripts in, the same out. A module is told by its exports.
import { text } from 'node:stream/consumers'
import { minify } from 'terser'

// What packs best: no getter of the sources does anything by itself.
const compress = { passes: 3, inline: 1, pure_getters: true, sequences: false }
const out = []
for (const script of JSON.parse(await text(process.stdin))) {
  const module = /\bexport\s*\{/.test(script)
  const { code } = await minify(script, {
    ecma: 2020,
    module,
    compress,
    mangle: true,
  })
  out.push(code + '\n')
}
process.stdout.write(JSON.stringify(out))
