// What a program finds: $, the entity types, a console, timers. It is given
// the request's types and the host's two functions, and gives what the worker
// calls.
;(function (config, send, log) {
  'use strict'
  const types = config.types
  const mostEvents = 1000 // of one answer
  const pending = new Map()
  const failed = []
  let count = 0

  class HeadlesslyError extends Error {
    constructor(body) {
      super(body.message)
      this.name = 'HeadlesslyError'
      this.code = body.error
      for (const k of ['field', 'type', 'id', 'details']) if (body[k] !== undefined) this[k] = body[k]
    }
  }

  // A call knows whether anything waits for it, so that one that failed alone is told.
  class Call extends Promise {
    static get [Symbol.species]() {
      return Promise
    }
    then(a, b) {
      this.awaited = true
      return super.then(a, b)
    }
  }

  const plain = (_, v) => (typeof v === 'bigint' ? (Number.isSafeInteger(Number(v)) ? Number(v) : String(v)) : v)

  function call(method, args) {
    const id = ++count
    const text = JSON.stringify(args ?? {}, plain)
    const promise = new Call((resolve, reject) => pending.set(id, { resolve, reject }))
    pending.get(id).promise = promise
    send(id, method, text)
    return promise
  }

  function settle(id, ok, text) {
    const waiting = pending.get(id)
    if (!waiting) return
    pending.delete(id)
    const value = text === '' ? undefined : JSON.parse(text)
    if (ok) return waiting.resolve(value)
    const error = new HeadlesslyError(value)
    failed.push({ promise: waiting.promise, error })
    waiting.reject(error)
  }

  const isObject = (x) => x !== null && typeof x === 'object'
  const fields = (o) => Object.fromEntries(Object.entries(o ?? {}).filter(([k]) => k[0] !== '$'))

  // Both shapes of the documentation: verb(id, data) and verb({ id, ...data }).
  function target(a, b) {
    if (typeof a === 'string') return [a, fields(b)]
    if (!isObject(a)) return [undefined, fields(b)]
    if (a.$id && isObject(b)) return [a.$id, fields(b)]
    const { id, ...rest } = a
    return [id ?? a.$id, fields(rest)]
  }

  const oneOf = (a) => (isObject(a) ? (a.$id ?? a.id) : a)

  function list(page) {
    const out = page.results
    for (const k of ['total', 'hasMore', 'cursor']) if (page[k] !== undefined) Object.defineProperty(out, k, { value: page[k] })
    return out
  }

  function entityType(t) {
    const type = t.name
    const op = (verb, id, args, more) => call('op', { type, verb, id, args, ...more })
    const out = {
      create: (data, o) => op('create', undefined, fields(data), o),
      get: (ref, o) => call('get', { type, id: oneOf(ref), ...o }),
      find: (filter, o) => call('find', { type, filter: filter ?? {}, ...o }).then(list),
      count: (filter, o) => call('count', { type, filter: filter ?? {}, ...o }),
      delete: (ref, o) => op('delete', oneOf(ref), undefined, o),
      rollback: (ref, to, o) => op('rollback', oneOf(ref), undefined, { ...to, ...o }),
      history: (ref, o) => call('events', { entity: oneOf(ref), forward: true, limit: mostEvents, ...o }).then(list),
    }
    for (const verb of t.verbs) {
      if (out[verb]) continue
      out[verb] = (a, b, c) => {
        const [id, args] = target(a, b)
        return op(verb, id, args, typeof a === 'string' || (isObject(a) && a.$id && isObject(b)) ? c : b)
      }
    }
    for (const hook of t.hooks) {
      out[hook] ??= () => {
        throw new TypeError(`${type}.${hook}(…): a script has ended before its hook could run; store a handler (POST /~${config.tenant}/handlers), or register the hook from an SDK`)
      }
    }
    return known(out, `$.${type}`)
  }

  // An object whose unknown members say what there is.
  function known(object, path) {
    return new Proxy(object, {
      get(o, p) {
        if (typeof p === 'symbol' || p in o || p === 'then' || p === 'toJSON') return o[p]
        throw new TypeError(`${path}.${p} does not exist; known are ${Object.keys(o).join(', ')}`)
      },
    })
  }

  const quote = (v) => {
    if (v === null || v === undefined) return 'null'
    if (typeof v === 'number' && Number.isFinite(v)) return String(v)
    if (typeof v === 'bigint' || typeof v === 'boolean') return String(v)
    return "'" + String(v instanceof Date ? v.toISOString() : v).replaceAll("'", "''") + "'"
  }

  const $ = {}
  for (const t of types) $[t.name] = entityType(t)
  const events = (q) => call('events', q).then(list)
  events.find = events.list = events
  $.events = events
  $.status = () => call('status')
  // $.sql`select … where x = ${value}` quotes its values; $.sql('select …') takes the text as it is.
  $.sql = (text, ...values) => call('sql', { sql: typeof text === 'string' ? text : text.reduce((s, part, i) => s + quote(values[i - 1]) + part) })
  $.tenant = config.tenant
  const graph = known($, '$')

  const define = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
  define('$', graph)
  for (const t of types) define(t.name, graph[t.name])

  const show = (x) => {
    if (typeof x === 'string') return x
    if (x instanceof Error) return `${x.name}: ${x.message}`
    if (typeof x === 'function') return `[Function ${x.name || 'anonymous'}]`
    try {
      return JSON.stringify(x, plain) ?? String(x)
    } catch {
      return String(x)
    }
  }
  const say = (level) => (...args) => log(level, args.map(show).join(' '))
  define('console', { log: say('log'), info: say('info'), warn: say('warn'), error: say('error'), debug: say('debug'), table: say('log') })

  const timers = new Map()
  let timer = 0
  const later = (f, ms, args, every) => {
    timers.set(++timer, { f, args, every, ms: Math.max(Number(ms) || 0, 0), wait: Math.max(Number(ms) || 0, 0) })
    return timer
  }
  define('setTimeout', (f, ms, ...args) => later(f, ms, args, false))
  define('setInterval', (f, ms, ...args) => later(f, ms, args, true))
  define('clearTimeout', (id) => void timers.delete(id))
  define('clearInterval', (id) => void timers.delete(id))
  define('fetch', () => {
    throw new TypeError('fetch: there is no network here; connect the service as an Integration')
  })
  define('process', { env: new Proxy({}, { get(_, name) { throw new TypeError(`process.env.${String(name)}: there is no environment here; pass the value itself`) } }) })

  let ended // { value } or { error }
  function watch(start) {
    let value
    try {
      value = start()
    } catch (error) {
      ended = { error }
      return
    }
    Promise.resolve(value).then((value) => (ended = { value }), (error) => (ended = { error }))
  }

  const describe = (e) => {
    if (!isObject(e)) return { code: 'script_error', name: 'Error', message: show(e) }
    const out = { code: 'script_error', name: String(e.name ?? 'Error'), message: String(e.message ?? show(e)) }
    if (e instanceof HeadlesslyError) for (const k of ['code', 'field', 'type', 'id', 'details']) if (e[k] !== undefined) out[k] = e[k]
    const at = /\bprogram\.ts:(\d+)(?::(\d+))?/.exec(String(e.stack ?? ''))
    if (at) Object.assign(out, { line: Number(at[1]), column: Number(at[2] ?? 0) })
    return out
  }

  let draft
  let before
  // What a handler made of its draft: fields it set, removed (null) or gave back.
  function changes(given) {
    if (isObject(given) && given !== draft && !Array.isArray(given)) Object.assign(draft, given)
    const patch = {}
    for (const [k, v] of Object.entries(draft)) if (JSON.stringify(v, plain) !== before.get(k)) patch[k] = v ?? null
    for (const k of before.keys()) if (!(k in draft)) patch[k] = null
    return patch
  }

  return {
    settle,
    // The completion of a script: a function is called with $, as in `do`'s `async ($) => …`.
    script: (completion) => watch(async () => {
      const { value } = await completion
      const last = await value
      return typeof last === 'function' ? last(graph) : last
    }),
    handler(f, draftText, eventText) {
      draft = draftText === '' ? undefined : JSON.parse(draftText)
      before = new Map(Object.entries(draft ?? {}).map(([k, v]) => [k, JSON.stringify(v, plain)]))
      watch(() => f(draft, graph, eventText === '' ? undefined : JSON.parse(eventText)))
    },
    // How it stands: '' while it runs and a call is out, else what is next.
    state() {
      if (ended?.error !== undefined || (ended && pending.size === 0)) return 'ended'
      if (pending.size > 0) return 'calling'
      return timers.size > 0 ? 'waiting' : 'stuck'
    },
    // The next timer's wait in milliseconds, and its run.
    next: () => Math.min(...[...timers.values()].map((t) => t.wait), 1e9),
    tick(ms) {
      for (const [id, t] of [...timers]) {
        t.wait -= ms
        if (t.wait > 0 || !timers.has(id)) continue
        if (t.every) t.wait = Math.max(t.ms, 1)
        else timers.delete(id)
        t.f(...t.args)
      }
    },
    finish() {
      if (!('error' in ended)) {
        const alone = failed.find((f) => !f.promise.awaited)
        if (alone) ended = { error: alone.error }
      }
      if ('error' in ended) return JSON.stringify({ error: describe(ended.error) }, plain)
      let value = ended.value
      if (draft) return JSON.stringify({ patch: changes(value) }, plain)
      if (Array.isArray(value) && value.hasMore) value = { results: [...value], total: value.total, hasMore: true, cursor: value.cursor }
      return JSON.stringify({ value }, plain)
    },
  }
})
