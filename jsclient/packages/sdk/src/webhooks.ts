/** How much older or newer than now a signed delivery may be, in seconds (Standard Webhooks' advice). */
const toleranceSeconds = 300

const encoder = new TextEncoder()

/** Headers as a server has them: the Fetch API's, or Node's object. */
export type HeadersLike = Headers | Record<string, string | string[] | undefined>

function header(headers: HeadersLike, name: string): string | undefined {
  if (typeof (headers as Headers).get === 'function') return (headers as Headers).get(name) ?? undefined
  for (const [key, value] of Object.entries(headers as Record<string, string | string[] | undefined>)) {
    if (key.toLowerCase() === name) return Array.isArray(value) ? value[0] : value
  }
  return undefined
}

/** A secret's bytes: `whsec_` and base64 by the Standard Webhooks, else the text as it is. */
function secretBytes(secret: string): Uint8Array<ArrayBuffer> {
  if (!secret.startsWith('whsec_')) return encoder.encode(secret)
  const text = atob(secret.slice('whsec_'.length))
  return Uint8Array.from(text, (c) => c.charCodeAt(0))
}

/**
 * Checks a delivery of headless.ly's outbound webhooks and gives its parsed body. Pass the raw body, not one that was
 * parsed and written again. Throws with what is wrong when no signature fits, or the delivery is older or newer than
 * five minutes.
 *
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export async function verifyWebhook<T = Record<string, any>>(
  body: string | Uint8Array,
  headers: HeadersLike,
  secret: string,
  options: { now?: () => number } = {},
): Promise<T> {
  const id = header(headers, 'webhook-id')
  const timestamp = header(headers, 'webhook-timestamp')
  const signatures = header(headers, 'webhook-signature')
  if (!id || !timestamp || !signatures) {
    throw new Error('not a signed delivery: webhook-id, webhook-timestamp or webhook-signature is missing')
  }
  const seconds = Number(timestamp)
  if (!Number.isInteger(seconds)) throw new Error('webhook-timestamp is no number of seconds')
  const age = (options.now ?? Date.now)() / 1000 - seconds
  if (Math.abs(age) > toleranceSeconds) {
    throw new Error(
      `the delivery is ${Math.round(Math.abs(age))} seconds too ${age > 0 ? 'old' : 'new'}: a replay, or a wrong clock`,
    )
  }
  const raw = typeof body === 'string' ? encoder.encode(body) : body
  const prefix = encoder.encode(`${id}.${timestamp}.`)
  const content = new Uint8Array(prefix.length + raw.length)
  content.set(prefix)
  content.set(raw, prefix.length)
  const key = await crypto.subtle.importKey(
    'raw',
    secretBytes(secret),
    { name: 'HMAC', hash: 'SHA-256' },
    false,
    ['verify'],
  )
  for (const entry of signatures.split(' ')) {
    const [version, value = ''] = entry.split(',')
    if (version !== 'v1') continue
    if (await crypto.subtle.verify('HMAC', key, fromBase64(value), content))
      return JSON.parse(new TextDecoder().decode(raw)) as T
  }
  throw new Error('no signature fits: the secret is another one, or the body was changed on its way')
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
  } catch {
    return new Uint8Array()
  }
}
