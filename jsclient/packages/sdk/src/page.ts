/** The answer of a find: an array of entities that knows how many there are in all and how to go on. */
export class Page<T> extends Array<T> {
  /** How many entities match in all. */
  total = 0
  hasMore = false
  /** Where the next page begins; undefined on the last one. */
  cursor: string | undefined
  #next: ((cursor: string) => Promise<Page<T>>) | undefined

  /** map, filter and their like give plain arrays. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array
  }

  static of_<T>(
    answer: { results: T[]; total?: number; hasMore?: boolean; cursor?: string },
    next: (cursor: string) => Promise<Page<T>>,
  ): Page<T> {
    const page = new Page<T>()
    for (const entity of answer.results) page.push(entity)
    page.total = answer.total ?? answer.results.length
    page.hasMore = answer.hasMore ?? false
    page.cursor = answer.cursor || undefined
    page.#next = next
    return page
  }

  /** The entities, as the wire format calls them. */
  get results(): T[] {
    return Array.from(this)
  }

  /** The page behind this one; undefined on the last. */
  async next(): Promise<Page<T> | undefined> {
    return this.hasMore && this.cursor && this.#next ? this.#next(this.cursor) : undefined
  }

  /** Every entity of this page and all behind it. */
  async *all(): AsyncGenerator<T, void, undefined> {
    let page: Page<T> | undefined = this
    while (page) {
      yield* page
      page = await page.next()
    }
  }
}
