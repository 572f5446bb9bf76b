const hex = (count: number): string => {
  let out = ''
  const random = new Uint8Array(count)
  try {
    crypto.getRandomValues(random)
  } catch {
    for (let i = 0; i < count; i++) random[i] = Math.random() * 256
  }
  for (let i = 0; i < count; i++) out += ((random[i] as number) + 256).toString(16).slice(1)
  return out
}

/** A UUIDv7 of this time in milliseconds. */
export const uuid7 = (ms: number): string => {
  const time = (ms + 2 ** 48).toString(16).slice(-12)
  const tail = hex(10)
  return (
    time.slice(0, 8) +
    '-' +
    time.slice(8) +
    '-7' +
    tail.slice(0, 3) +
    '-' +
    '89ab'[(Math.random() * 4) | 0] +
    tail.slice(3, 6) +
    '-' +
    tail.slice(6, 18)
  )
}
