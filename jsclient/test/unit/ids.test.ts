import { describe, expect, it } from 'vitest'
import { uuid7 } from '../../src/ids'

describe('uuid7', () => {
  it('has the form of a version 7 UUID with the time in front', () => {
    const id = uuid7(1700000000123)
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(Number.parseInt(id.replace('-', '').slice(0, 12), 16)).toBe(1700000000123)
  })
  it('does not repeat', () => {
    const ids = new Set(Array.from({ length: 20000 }, () => uuid7(1)))
    expect(ids.size).toBe(20000)
  })
  it('sorts in the order of making within a millisecond', () => {
    const ids = Array.from({ length: 3000 }, () => uuid7(1700000000209))
    expect([...ids].sort()).toEqual(ids)
  })
  it('sorts by time', () => {
    expect(uuid7(1700000000000) < uuid7(1700000000001)).toBe(true)
    expect(uuid7(5) < uuid7(1700000000001)).toBe(true)
  })
  it('sorts those of one millisecond also when ids of a millisecond before come in between', () => {
    const batches = Array.from({ length: 30 }, () => {
      uuid7(1800000000008)
      return uuid7(1800000000009)
    })
    expect([...batches].sort()).toEqual(batches)
  })
})
