import { HeadlesslyError } from '@headlessly/sdk'
import { commands } from './commands.js'
import { entityCall, runEntity, targetOf } from './entity.js'
import { UsageError } from './errors.js'
import { overview } from './help.js'
import { write } from './show.js'

/** Runs a command line and gives its exit code: 1 for work that failed, 2 for a call that was wrong. */
export async function main(args: string[]): Promise<number> {
  try {
    await run(args)
    return 0
  } catch (error) {
    const lines = [(error as Error).message]
    if (error instanceof HeadlesslyError) for (const d of error.details) lines.push('  ' + d.message)
    process.stderr.write(`headlessly: ${lines.join('\n')}\n`)
    return error instanceof UsageError ? 2 : 1
  }
}

async function run(args: string[]): Promise<void> {
  const place = entityCall(args)
  if (place >= 0) return runEntity(args, place)
  let i = 0
  while (/^--(data|url|tenant)(=|$)/.test(args[i] ?? '')) i += args[i]?.includes('=') ? 1 : 2
  const name = args[i]
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') return write(overview)
  const command = commands[name]
  if (!command) throw new UsageError(`unknown command "${name}"\nSee: headlessly --help`)
  return command(args.slice(i + 1), targetOf(args.slice(0, i)))
}
