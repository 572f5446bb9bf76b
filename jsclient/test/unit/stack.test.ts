import { describe, expect, it } from 'vitest'
import { exceptionsOf, parseStack } from '../../src/stack'

const frame = (filename: string, fn: string, lineno: number, colno: number, in_app = true) => ({
  filename,
  function: fn,
  lineno,
  colno,
  in_app,
})

describe('parseStack', () => {
  const cases: [string, string, object[]][] = [
    [
      'Chromium',
      'Error: order 7 failed:10:5\n    at placeOrder (http://shop.test/errors.js:8:11)\n    at HTMLButtonElement.onThrow (http://shop.test/errors.js:13:3)\n    at http://shop.test/app.js?v=1:2:3',
      [
        frame('http://shop.test/errors.js', 'placeOrder', 8, 11),
        frame('http://shop.test/errors.js', 'HTMLButtonElement.onThrow', 13, 3),
        frame('http://shop.test/app.js?v=1', '?', 2, 3),
      ],
    ],
    [
      'Chromium: async, constructors, methods under another name, native code',
      'TypeError: x\n    at async load (https://a.test/b.js:1:2)\n    at new Cart (https://a.test/b.js:3:4)\n    at Cart.add [as put] (https://a.test/b.js:5:6)\n    at Array.map (<anonymous>)\n    at async https://a.test/b.js:7:8\n    at Promise.all (index 0)',
      [
        frame('https://a.test/b.js', 'load', 1, 2),
        frame('https://a.test/b.js', 'Cart', 3, 4),
        frame('https://a.test/b.js', 'Cart.add [as put]', 5, 6),
        frame('https://a.test/b.js', '?', 7, 8),
      ],
    ],
    [
      'Chromium: eval',
      'Error: x\n    at eval (eval at run (http://a.test/e.js:4:9), <anonymous>:1:7)\n    at run (http://a.test/e.js:4:3)',
      [frame('http://a.test/e.js', 'eval', 4, 9), frame('http://a.test/e.js', 'run', 4, 3)],
    ],
    [
      'Chromium: odd file names',
      'Error: x\n    at f (http://a.test/a (1).js:1:2)\n    at g (http://a.test/@scope/b.js:3:4)\n    at http://a.test/@scope/c.js:5:6\n    at h (file:///C:/my files/d.js:7:8)',
      [
        frame('http://a.test/a (1).js', 'f', 1, 2),
        frame('http://a.test/@scope/b.js', 'g', 3, 4),
        frame('http://a.test/@scope/c.js', '?', 5, 6),
        frame('file:///C:/my files/d.js', 'h', 7, 8),
      ],
    ],
    [
      'Chromium: code that is not the page’s',
      'Error: x\n    at a (chrome-extension://abc/x.js:1:2)\n    at b (http://a.test/node_modules/lib/x.js:3:4)\n    at c (node:internal/x:5:6)',
      [
        frame('chrome-extension://abc/x.js', 'a', 1, 2, false),
        frame('http://a.test/node_modules/lib/x.js', 'b', 3, 4, false),
        frame('node:internal/x', 'c', 5, 6, false),
      ],
    ],
    [
      'Firefox',
      'placeOrder@http://shop.test/errors.js:8:11\nonThrow@http://shop.test/errors.js:13:3\n@http://shop.test/app.js:2:3\nEventListener.handleEvent*@http://shop.test/app.js:9:1\n',
      [
        frame('http://shop.test/errors.js', 'placeOrder', 8, 11),
        frame('http://shop.test/errors.js', 'onThrow', 13, 3),
        frame('http://shop.test/app.js', '?', 2, 3),
        frame('http://shop.test/app.js', 'EventListener.handleEvent*', 9, 1),
      ],
    ],
    [
      'Firefox: eval, inner functions, odd file names',
      'run@http://a.test/e.js line 4 > eval:1:7\nouter/inner@http://a.test/e.js:2:3\nf@http://a.test/@scope/g.js:4:5\nf@moz-extension://abc/x.js:6:7',
      [
        frame('http://a.test/e.js', 'run', 4, 0),
        frame('http://a.test/e.js', 'outer/inner', 2, 3),
        frame('http://a.test/@scope/g.js', 'f', 4, 5),
        frame('moz-extension://abc/x.js', 'f', 6, 7, false),
      ],
    ],
    [
      'WebKit',
      'placeOrder@http://shop.test/errors.js:8:20\n@http://shop.test/errors.js:13:13\nmap@[native code]\nglobal code@http://shop.test/a.js:1:2\nhttp://shop.test/b.js:3:4',
      [
        frame('http://shop.test/errors.js', 'placeOrder', 8, 20),
        frame('http://shop.test/errors.js', '?', 13, 13),
        frame('http://shop.test/a.js', 'global code', 1, 2),
        frame('http://shop.test/b.js', '?', 3, 4),
      ],
    ],
    ['nothing', '', []],
  ]
  for (const [name, stack, want] of cases) it(name, () => expect(parseStack(stack)).toEqual(want))

  it('takes what is no text', () => {
    for (const odd of [undefined, null, 5, {}, []]) expect(parseStack(odd)).toEqual([])
  })
  it('stays quick and bounded on a huge stack', () => {
    const stack = 'Error\n' + '    at f (http://a.test/x.js:1:2)\n'.repeat(1e5) + '@'.repeat(1e6)
    expect(parseStack(stack).length).toBeLessThan(61)
    expect(parseStack('at ' + 'a@('.repeat(1e5))).toEqual([])
  })
})

describe('exceptionsOf', () => {
  it('gives the thrown error first, then its causes', () => {
    const error = new Error('outer', { cause: new RangeError('inner', { cause: 'root' }) })
    const chain = exceptionsOf(error, 'error')
    expect(
      chain.map(({ type, value, mechanism }) => [type, value, mechanism.type, mechanism.handled]),
    ).toEqual([
      ['Error', 'outer', 'error', false],
      ['RangeError', 'inner', 'chained', false],
      ['Error', 'root', 'chained', false],
    ])
    expect(chain[0]?.stacktrace.length).toBeGreaterThan(0)
    expect(chain[2]?.stacktrace).toEqual([])
  })
  it('ends a cycle of causes', () => {
    const a = new Error('a')
    const b = new Error('b', { cause: a })
    a.cause = b
    expect(exceptionsOf(a, 'error').length).toBe(5)
  })
  const odd: [string, unknown, string, string][] = [
    ['a string', 'oops', 'Error', 'oops'],
    ['a number', 42, 'Error', '42'],
    ['undefined', undefined, 'Error', 'undefined'],
    ['null', null, 'Error', 'null'],
    ['an object', { code: 7 }, 'Error', '{"code":7}'],
    ['an object with a message', { name: 'Odd', message: 'm' }, 'Odd', 'm'],
    ['a symbol', Symbol('s'), 'Error', 'Symbol(s)'],
  ]
  for (const [name, thrown, type, value] of odd) {
    it('takes ' + name, () => {
      const [first] = exceptionsOf(thrown, 'error')
      expect([first?.type, first?.value]).toEqual([type, value])
    })
  }
})
