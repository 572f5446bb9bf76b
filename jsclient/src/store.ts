// Where state and the queue live: memory, and localStorage once that is
// allowed. Never throws; what the browser refuses to store stays in memory.

import { guard } from './core'

const memory: Record<string, string> = {}
let disk: Storage | undefined

export const get = (key: string): string => memory[key] || guard(() => disk?.getItem(key))() || ''

/** An empty value removes the key. */
export const set = (key: string, value: string): void => {
  if (value) memory[key] = value
  else delete memory[key]
  guard(() => {
    if (value) disk?.setItem(key, value)
    else disk?.removeItem(key)
    if (disk) delete memory[key]
  })()
}

/** The keys that begin with prefix, sorted, so that the oldest entry of a queue comes first. */
export const keysOf = (prefix: string): string[] =>
  [...Object.keys(memory), ...Object.keys(disk || {})].filter((key) => key.startsWith(prefix)).sort()

/** Allow or forbid the browser's storage; what is in memory moves there when it is allowed. */
export const persist = (allowed: unknown): void => {
  disk = guard(() => (allowed ? localStorage : undefined))()
  for (const key of Object.keys(memory)) set(key, memory[key] as string)
}
