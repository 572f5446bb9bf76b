import { HeadlesslyError } from '@headlessly/sdk'
import type { Resolved } from './target.js'

/** One message of a stream of server-sent events. */
export interface Message {
  kind: string
  data: string
}

/** Follows a stream below `/~{tenant}/` to its end. */
export async function* follow(
  gateway: Resolved,
  path: string,
  signal?: AbortSignal,
): AsyncGenerator<Message> {
  const response = await fetch(`${gateway.url}/~${encodeURIComponent(gateway.tenant)}/${path}`, {
    headers: { Authorization: `Bearer ${gateway.apiKey}`, Accept: 'text/event-stream' },
    ...(signal ? { signal } : {}),
  })
  if (!response.ok || !response.body) {
    const body = (await response.json().catch(() => ({}))) as { error?: string; message?: string }
    const message = body.message ?? `the gateway answered ${response.status}`
    throw new HeadlesslyError(response.status, { error: body.error ?? 'http', message })
  }
  let rest = ''
  let kind = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    rest += decoder.decode(chunk, { stream: true })
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line.startsWith('event: ')) kind = line.slice('event: '.length)
      else if (line.startsWith('data: ')) yield { kind, data: line.slice('data: '.length) }
    }
  }
}
