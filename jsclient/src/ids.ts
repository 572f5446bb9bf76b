/** A UUIDv7 of this time in milliseconds. */
export const uuid7 = (ms: number): string => {
  const time = (ms + 2 ** 48).toString(16) // a 1, and twelve digits
  let i = 0
  return '########-####-7###-a###-############'.replace(
    /#/g,
    () => time[++i] || ((crypto.getRandomValues(new Uint8Array(1))[0] as number) & 15).toString(16),
  )
}
