import { HeadlesslyError } from '@headlessly/sdk'
import { commands } from './commands.js'
import { entityCall, runEntity, targetOf } from './entity.js'
import { UsageError } from './errors.js'
import { helpOfCommand, overview } from './help.js'
import { write } from './show.js'

/** Runs a command line and gives its exit code: 1 for work that failed, 2 for a call that was wrong. */
export async function main(args: string[]): Promise<number> {
  try {
    await run(args)
    return 0
  } catch (error) {
    const lines = [text(error as Error)]
    if (error instanceof HeadlesslyError) for (const d of error.details) lines.push('  ' + d.message)
    process.stderr.write(`headlessly: ${lines.join('\n')}\n`)
    return error instanceof UsageError ? 2 : 1
  }
}

/** Why a connection failed, in the words of the binary. */
const faults: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ENOTFOUND: 'no such host',
}

function text(error: Error): string {
  if (!(error instanceof HeadlesslyError) || error.code !== 'unreachable') return error.message
  return error.message.replace(
    /^cannot reach (\S+): (.*)$/,
    (_, url: string, why: string) => `the gateway is not running at ${url}: ${faults[why] ?? why}`,
  )
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
  const rest = args.slice(i + 1)
  if (rest.includes('--help') || rest.includes('-h')) return write(helpOfCommand(command.shape))
  return command(rest, targetOf(args.slice(0, i)))
}
