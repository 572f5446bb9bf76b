/** A call, and whether anybody took its result. */
export interface Pending<T> {
  /** What the caller gets. */
  promise: Promise<T>
  /** Whether the caller awaited it, or hung something on it. */
  taken(): boolean
  /** The result, looked at without taking it. */
  result: Promise<T>
}

class Watched<T> extends Promise<T> {
  taken = false

  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  // biome-ignore lint/suspicious/noThenProperty: this is a promise that notices its being awaited
  override then<A = T, B = never>(
    onfulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onrejected?: ((reason: any) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.taken = true
    return super.then(onfulfilled, onrejected)
  }
}

/**
 * Watches a call that a hook may leave alone, as in `$.Event.create({…})` without await: the hook is done when the call
 * is, and has failed when the call has. A failure that nobody took is no unhandled rejection of the process.
 */
export function floating<T>(result: Promise<T>): Pending<T> {
  result.catch(() => undefined)
  const promise = new Watched<T>((resolve, reject) => void result.then(resolve, reject))
  Promise.prototype.then.call(promise, undefined, () => undefined)
  return { promise, taken: () => promise.taken, result }
}
