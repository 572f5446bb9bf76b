import { afterEach, describe, expect, it, vi } from 'vitest'
import { campaignOf, googleIds } from '../../src/context'

afterEach(() => vi.unstubAllGlobals())

describe('campaignOf', () => {
  it('reads utm parameters and click ids', () => {
    const url =
      'https://a.test/?utm_source=news&utm_medium=email&utm_campaign=spring&utm_term=t&utm_content=c&gclid=g1&x=1'
    expect(campaignOf(url, 'https://mail.test/')).toEqual({
      source: 'news',
      medium: 'email',
      name: 'spring',
      term: 't',
      content: 'c',
      gclid: 'g1',
      referrer: 'https://mail.test/',
    })
  })
  for (const id of ['gclid', 'gbraid', 'wbraid', 'fbclid', 'msclkid', 'ttclid', 'twclid', 'li_fat_id']) {
    it('knows ' + id, () =>
      expect(campaignOf('https://a.test/?' + id + '=v', '')).toEqual({ [id]: 'v', referrer: '' }),
    )
  }
  it('sees none where there is none', () =>
    expect(campaignOf('https://a.test/?q=utm_source', '')).toBeUndefined())
})

describe('googleIds reads the cookies of gtag', () => {
  const cases: [string, string, object | undefined][] = [
    [
      'GS1',
      'a=1; _ga=GA1.1.1234567890.1700000000; _ga_ABC123=GS1.1.1700000100.3.1.1700000200.0.0.0',
      { clientId: '1234567890.1700000000', sessionId: '1700000100', sessionNumber: '3' },
    ],
    [
      'GS2',
      '_ga=GA1.2.1.2; _ga_ABC=GS2.1.s1700000100$o7$g1$t1700000200$j60$l0$h0',
      { clientId: '1.2', sessionId: '1700000100', sessionNumber: '7' },
    ],
    [
      'GS2 in another order',
      '_ga_ABC=GS2.1.o7$g1$t1700000200$s1700000100; _ga=GA1.1.1.2',
      { clientId: '1.2', sessionId: '1700000100', sessionNumber: '7' },
    ],
    [
      'a client without a session',
      '_ga=GA1.1.5.6',
      { clientId: '5.6', sessionId: undefined, sessionNumber: undefined },
    ],
    ['nothing', 'session=1', undefined],
  ]
  for (const [name, cookie, want] of cases) {
    it(name, () => {
      vi.stubGlobal('document', { cookie })
      expect(googleIds()).toEqual(want)
    })
  }
  it('a page whose cookies may not be read', () => {
    vi.stubGlobal('document', {
      get cookie() {
        throw new Error('SecurityError')
      },
    })
    expect(googleIds()).toBeUndefined()
  })
})
