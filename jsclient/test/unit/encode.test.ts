import { describe, expect, it } from 'vitest'
import { bytes, encode } from '../../src/encode'

const back = (value: unknown) => JSON.parse(encode(value))

it('a list is read as far as it is sent: its keys, which may be millions, are not asked for', () => {
  const list = new Proxy([1, 2, 3], {
    ownKeys() {
      throw new Error('all keys')
    },
  })
  expect(encode({ list })).toBe('{"list":[1,2,3]}')
})

it('what was cut once stays as it is', () => {
  const once = encode({ text: 'x'.repeat(20000) })
  const { trimmed, ...again } = JSON.parse(once)
  expect(trimmed).toBe(true)
  expect(JSON.parse(encode(again))).toEqual(again)
})

describe('encode writes the JSON that JSON.stringify writes', () => {
  const cases: [string, unknown][] = [
    ['plain values', { a: 1, b: 'x', c: true, d: null, e: [1, 'two', { three: 3 }] }],
    ['what JSON leaves out', { a: undefined, b: () => 1, c: Symbol('c'), d: [undefined, () => 1] }],
    ['numbers', { a: 1e21, b: -0, c: 0.1, d: Number.NaN, e: Number.POSITIVE_INFINITY }],
    [
      'text',
      { a: 'quote " slash \\ newline \n tab \t nul \u0000 del \u007f', b: 'é ü 漢字 😀', c: '\u2028' },
    ],
    ['keys', { 'a"b': 1, 'c\nd': 2, '': 3, 漢: 4 }],
    ['a date', { a: new Date(0), b: new Date(Number.NaN) }],
    ['toJSON', { a: { toJSON: () => ({ b: 1 }) }, c: new URL('https://example.com/') }],
    ['empty things', { a: {}, b: [], c: '' }],
  ]
  for (const [name, value] of cases) {
    it(name, () => expect(back(value)).toEqual(JSON.parse(JSON.stringify(value))))
  }
})

describe('encode survives what JSON.stringify does not', () => {
  const cycle: Record<string, unknown> = { name: 'cycle' }
  cycle.self = cycle
  const cases: [string, unknown, (result: never) => void][] = [
    [
      'a getter that throws',
      Object.defineProperty({ ok: 1 }, 'bad', {
        enumerable: true,
        get() {
          throw new Error('no')
        },
      }),
      (r) => expect(r).toEqual({ ok: 1, bad: '[unreadable]' }),
    ],
    [
      'a toJSON that throws',
      {
        a: {
          toJSON() {
            throw new Error('no')
          },
        },
        b: 2,
      },
      (r) => expect(r).toEqual({ a: '[unreadable]', b: 2 }),
    ],
    [
      'a toJSON that returns itself',
      (() => {
        const o = { toJSON: () => o }
        return { o, b: 2 }
      })(),
      (r: { b: number }) => expect(r.b).toBe(2),
    ],
    [
      'a cycle',
      cycle,
      (r: { name: string; trimmed: boolean }) => {
        expect(r.name).toBe('cycle')
        expect(r.trimmed).toBe(true)
      },
    ],
    ['BigInt', { a: 12345678901234567890n }, (r) => expect(r).toEqual({ a: '12345678901234567890' })],
    [
      'a proxy that throws at everything',
      {
        p: new Proxy(
          {},
          {
            get() {
              throw new Error('no')
            },
            ownKeys() {
              throw new Error('no')
            },
          },
        ),
        b: 2,
      },
      (r) => expect(r).toEqual({ p: '[unreadable]', b: 2 }),
    ],
    [
      'a revoked proxy',
      (() => {
        const { proxy, revoke } = Proxy.revocable({}, {})
        revoke()
        return { p: proxy, b: 2 }
      })(),
      (r) => expect(r).toEqual({ p: '[unreadable]', b: 2 }),
    ],
    ['a lone surrogate', { a: 'x\ud800y' }, (r) => expect(r).toEqual({ a: 'x\ufffdy' })],
    ['an error', { e: new TypeError('bad') }, (r) => expect(r).toEqual({ e: 'TypeError: bad' })],
    ['Object.create(null)', Object.assign(Object.create(null), { a: 1 }), (r) => expect(r).toEqual({ a: 1 })],
  ]
  for (const [name, value, check] of cases) it(name, () => check(back(value) as never))
})

describe('encode keeps an event within 32 KiB and marks it', () => {
  const cases: [string, unknown][] = [
    ['a string of 10 MB', { messageId: 'm', properties: { s: 'x'.repeat(1e7) } }],
    ['a string of 10 MB of emoji', { messageId: 'm', properties: { s: '😀'.repeat(25e5) } }],
    ['control characters', { messageId: 'm', properties: { s: '\u0001'.repeat(1e6) } }],
    [
      'a hundred thousand keys',
      { messageId: 'm', properties: Object.fromEntries(Array.from({ length: 1e5 }, (_, i) => ['k' + i, i])) },
    ],
    [
      'a thousand long strings',
      { messageId: 'm', properties: Array.from({ length: 1000 }, () => 'y'.repeat(1000)) },
    ],
    ['a long key', { messageId: 'm', ['k'.repeat(1e6)]: 1 }],
  ]
  for (const [name, value] of cases) {
    it(name, () => {
      const text = encode(value)
      expect(bytes(text)).toBeLessThanOrEqual(32768)
      const parsed = JSON.parse(text)
      expect(parsed.messageId).toBe('m')
      expect(parsed.trimmed).toBe(true)
      expect(text.split(':').length).toBeLessThan(1000)
    })
  }
  it('a depth of ten thousand', () => {
    let deep: unknown = 1
    for (let i = 0; i < 1e4; i++) deep = { deep }
    const parsed = back({ messageId: 'm', deep })
    expect(parsed.trimmed).toBe(true)
  })
  it('an event that fits is not marked', () => expect(back({ a: 'x'.repeat(8000) }).trimmed).toBeUndefined())
})

describe('encode needs neither JSON nor Array.prototype', () => {
  it('both replaced', () => {
    const { stringify } = JSON
    const { push, join, map } = Array.prototype
    const throws = () => {
      throw new Error('replaced')
    }
    let text = ''
    try {
      JSON.stringify = throws
      Object.assign(Array.prototype, { push: throws, join: throws, map: throws, toJSON: throws })
      text = encode({ a: [1, { b: 2 }] })
    } finally {
      JSON.stringify = stringify
      Object.assign(Array.prototype, { push, join, map })
      delete (Array.prototype as { toJSON?: unknown }).toJSON
    }
    expect(text).toBe('{"a":[1,{"b":2}]}')
  })
})

describe('encode of random values reads back', () => {
  // A small seeded generator: a failure names its seed.
  const random = (seed: number) => () => {
    seed = (seed * 1664525 + 1013904223) >>> 0
    return seed / 2 ** 32
  }
  const value = (next: () => number, depth: number): unknown => {
    const kind = Math.floor(next() * (depth > 4 ? 4 : 6))
    const text = () =>
      String.fromCodePoint(
        ...Array.from({ length: Math.floor(next() * 20) }, () => Math.floor(next() * 0x10ffff)),
      )
    if (kind === 0) return next() * 1e6 - 5e5
    if (kind === 1) return text()
    if (kind === 2) return next() > 0.5
    if (kind === 3) return null
    if (kind === 4) return Array.from({ length: Math.floor(next() * 5) }, () => value(next, depth + 1))
    return Object.fromEntries(
      Array.from({ length: Math.floor(next() * 5) }, () => [text(), value(next, depth + 1)]),
    )
  }
  it('500 seeds', () => {
    for (let seed = 1; seed <= 500; seed++) {
      const original = { v: value(random(seed), 0) }
      const want = JSON.parse(
        JSON.stringify(original).replace(
          /\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f][0-9a-f]{2}/g,
          '\ufffd',
        ),
      )
      expect(back(original), 'seed ' + seed).toEqual(want)
    }
  })
})
