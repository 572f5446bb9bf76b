let last = 0
let seq = 0

/**
 * A UUIDv7 of this time in milliseconds, or of now; those of one millisecond sort in the order they were made, also when ids of a
 * little earlier are made in between.
 */
export const uuid7 = (ms = Date.now()): string => {
  seq++
  if (ms > last) {
    last = ms
    seq = 0
  }
  // A 1 and twelve digits of time, then three of the sequence.
  const digits = (ms + 2 ** 48).toString(16) + (seq + 4096).toString(16).slice(-3)
  const random = crypto.getRandomValues(new Uint8Array(32))
  let i = 0
  return '########-####-7###-a###-############'.replace(
    /#/g,
    () => digits[++i] || ((random[i] as number) & 15).toString(16),
  )
}

/** The name of the time zone. Intl loads its tables to tell it, for tens of milliseconds; Temporal knows. */
export const timeZone = (): string =>
  (window as { Temporal?: { Now: { timeZoneId(): string } } }).Temporal?.Now.timeZoneId() ||
  Intl.DateTimeFormat().resolvedOptions().timeZone
