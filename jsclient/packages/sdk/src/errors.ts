/** One fault of a call that had several. */
export interface Fault {
  field?: string
  message: string
}

/** What a failed call knows, as the server says it. */
export interface ErrorBody {
  error: string
  message: string
  type?: string
  id?: string
  field?: string
  hint?: string
  details?: Fault[]
}

/** What to do about an error whose server said nothing better. */
const hints: Record<string, string> = {
  unauthorized: 'Set HEADLESSLY_API_KEY, or pass apiKey, to a secret key (hly_sk_…) of this tenant.',
  forbidden: 'The key may not do this: use a secret key of this tenant with the scope that the call needs.',
  not_found: 'Look it up with find() or search; a deleted entity is readable with asOf.',
  conflict: 'Another entity or another change stands in the way: read again and decide anew.',
  version_mismatch: 'Read the entity again and repeat the change on its newest version.',
  rate_limited: 'Wait for retryAfter seconds.',
  vetoed: 'A before hook refused the change; its message says why.',
  provider_error: 'The provider refused or failed; its answer is in the message.',
  unavailable: 'The gateway cannot answer now: look whether the change happened before trying again.',
  unreachable: 'Is the gateway running, and is HEADLESSLY_URL (or url) its control address?',
  timeout: 'The gateway did not answer in time: look whether the change happened before trying again.',
}

/** A call that failed. `code` is the server's machine-readable word, or `unreachable`, `timeout`, `config`. */
export class HeadlesslyError extends Error {
  /** Machine-readable: `validation_failed`, `not_found`, `vetoed`, `provider_error`, … */
  readonly code: string
  /** HTTP status, 0 where no answer came. */
  readonly status: number
  /** The field at fault. */
  readonly field: string | undefined
  /** What to do next. */
  readonly hint: string | undefined
  /** The entity type and id that the error is about. */
  readonly type: string | undefined
  readonly id: string | undefined
  /** Every fault, where there were several. */
  readonly details: Fault[]
  /** Seconds to wait before the next try. */
  readonly retryAfter: number | undefined

  constructor(
    status: number,
    body: ErrorBody,
    more: { retryAfter?: number | undefined; cause?: unknown } = {},
  ) {
    super(body.message, more.cause === undefined ? undefined : { cause: more.cause })
    this.name = 'HeadlesslyError'
    this.code = body.error
    this.status = status
    this.field = body.field
    this.hint = body.hint ?? hints[body.error]
    this.type = body.type
    this.id = body.id
    this.details = body.details ?? []
    this.retryAfter = more.retryAfter
  }
}
