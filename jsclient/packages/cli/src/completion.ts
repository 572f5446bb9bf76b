import { UsageError } from './errors.js'
import { write } from './show.js'
import { types } from './types.gen.js'

const names = 'sql search fetch do tail trace deliveries replay status login init doctor completion'

/** Every call that can begin a command line. */
function words(): string {
  const calls = Object.entries(types).flatMap(([name, type]) =>
    [...Object.keys(type.verbs), 'find', 'get', 'count', 'history'].map((verb) => `${name}.${verb}`),
  )
  return [...names.split(' '), ...calls].join(' ')
}

/** Prints a completion script: eval "$(headlessly completion bash)". */
export function completion(shell: string | undefined): void {
  switch (shell) {
    case 'bash':
      return write(`complete -W '${words()}' headlessly\n`)
    case 'zsh':
      return write(`#compdef headlessly\ncompadd ${words()}\n`)
    case 'fish':
      return write(`complete -c headlessly -f -a '${words()}'\n`)
  }
  throw new UsageError('name the shell: headlessly completion bash, zsh or fish')
}
