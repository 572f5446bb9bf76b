import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { UsageError } from './errors.js'

/** Asks a question on the terminal. */
export async function ask(question: string): Promise<string> {
  if (!process.stdin.isTTY) throw new UsageError('there is no terminal to ask on')
  const line = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = (await line.question(question)).trim()
    if (!answer) throw new UsageError('nothing was typed')
    return answer
  } finally {
    line.close()
  }
}

/** Asks for a secret without showing it. */
export async function secret(label: string, fault: string): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new UsageError(`${fault}: there is no terminal to ask on; use @file, @- or env:NAME`)
  }
  process.stderr.write(label)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const line = createInterface({ input: process.stdin, output: silent, terminal: true })
  try {
    return (await line.question('')).trim()
  } finally {
    line.close()
    process.stderr.write('\n')
  }
}
