/** Where state and the queue live. Never throws; a write may not stick. */
export interface Store {
  _get(key: string): string | null
  _set(key: string, value: string): void
  _remove(key: string): void
  /** Sorted, so that the oldest entry of a queue comes first. */
  _keys(prefix: string): string[]
}

const matching = (keys: string[], prefix: string): string[] =>
  keys.filter((key) => key.startsWith(prefix)).sort()

/** Keeps everything for the life of the page only. */
export const memoryStore = (): Store => {
  const items = new Map<string, string>()
  return {
    _get: (key) => items.get(key) ?? null,
    _set: (key, value) => void items.set(key, value),
    _remove: (key) => void items.delete(key),
    _keys: (prefix) => matching([...items.keys()], prefix),
  }
}

const attempt = <T>(fn: () => T, otherwise: T): T => {
  try {
    return fn()
  } catch {
    return otherwise
  }
}

/** localStorage; where the browser does not let us, nothing is there and nothing sticks. */
export const browserStore = (): Store => ({
  _get: (key) => attempt(() => localStorage.getItem(key), null),
  _set: (key, value) => attempt(() => localStorage.setItem(key, value), undefined),
  _remove: (key) => attempt(() => localStorage.removeItem(key), undefined),
  _keys: (prefix) => attempt(() => matching(Object.keys(localStorage), prefix), []),
})
