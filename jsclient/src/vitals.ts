import { arrival, guard, hurry, listen, soon, subscribe, wants } from './core'
import { selectorOf } from './dom'
import { emit } from './emit'
import { uuid7 } from './ids'

/** The upper bounds of good and of needs-improvement. */
const BOUNDS: Record<string, [number, number]> = {
  LCP: [2500, 4000],
  INP: [200, 500],
  CLS: [0.1, 0.25],
  FCP: [1800, 3000],
  TTFB: [800, 1800],
}
const enum Limit {
  /** Of the interactions the longest are kept: the 98th percentile of up to 500 is among them. */
  Longest = 10,
  Never = 1e15,
}

/** What performance entries hold beyond what TypeScript knows of. */
interface Entry extends PerformanceEntry {
  element?: Element
  target?: Node
  value: number
  hadRecentInput?: boolean
  interactionId?: number
  sources?: { node?: Node }[]
}
type Interaction = [latency: number, id: number, target: string]

let kind: string
let activation: number
let hiddenAt: number
let told: Record<string, { _id: string; _value?: number }> = {}

const tell = (name: string, value: number, target?: string): void => {
  const [good, fair] = BOUNDS[name] as [number, number]
  // biome-ignore lint/suspicious/noAssignInExpressions: short
  const last = (told[name] ||= { _id: uuid7() })
  if (value < 0 || value === last._value) return
  last._value = value
  emit('vital', {
    properties: {
      name,
      value,
      id: last._id,
      rating: value > fair ? 'poor' : value > good ? 'needs-improvement' : 'good',
      target,
      navigationType: kind,
    },
  })
}
const sinceStart = (time: number): number => Math.max(time - activation, 0)

/** Returns what reads the entries that are not delivered yet. */
const observe = (types: string, fn: (entries: Entry[]) => void): (() => void) => {
  const observer = new PerformanceObserver(guard((list) => fn(list.getEntries() as Entry[])))
  for (const type of types.split(' ')) {
    guard(() => observer.observe({ type, buffered: 1, durationThreshold: 40 } as never))()
  }
  return () => fn(observer.takeRecords() as Entry[])
}

// Largest paint, until the visitor does something.
let lcp = -1
let lcpTarget = ''
let final = false
const largest = (entries: Entry[]): void => {
  for (const { startTime, element } of entries.slice(-1)) {
    if (startTime < hiddenAt) {
      lcp = sinceStart(startTime)
      lcpTarget = selectorOf(element)
    }
  }
}

// Shifts add up while they are less than a second apart and five in all.
let cls = -1
let clsTarget = ''
let sum = 0
let begin = 0
let end = 0
let worst = 0
let blame = ''
/** A page without shifts: 0, where the engine tells of them. */
const stable = (): number => ('LayoutShift' in window ? 0 : -1)
const shifted = (entries: Entry[]): void => {
  for (const { hadRecentInput, startTime, value, sources = [] } of entries) {
    if (hadRecentInput) continue
    if (!sum || startTime - end >= 1000 || startTime - begin >= 5000) {
      sum = worst = 0
      begin = startTime
    }
    sum += value
    end = startTime
    if (value > worst) {
      worst = value
      blame = selectorOf((sources.find(({ node }) => node?.nodeType === 1) || sources[0])?.node)
    }
    if (sum > cls) {
      cls = sum
      clsTarget = blame
    }
  }
}

// Latencies of interactions, the longest first: their 98th percentile counts.
let inp = -1
let inpTarget = ''
let longest: Interaction[] = []
let before = 0
const count = (): number => (performance as { interactionCount?: number }).interactionCount || 0
const interacted = (entries: Entry[]): void => {
  for (const { interactionId: id, duration, target } of entries) {
    if (!id) continue
    const known = longest.find((one) => one[1] === id)
    if (!known) longest.push([duration, id, selectorOf(target)])
    else {
      known[0] = Math.max(known[0], duration)
      known[2] ||= selectorOf(target)
    }
  }
  longest = longest.sort((a, b) => b[0] - a[0]).slice(0, Limit.Longest)
  const index = Math.min(longest.length - 1, Math.floor((count() - before) / 50))
  if (longest[index]) [inp, , inpTarget] = longest[index]
}

const restored = ({ persisted, timeStamp }: PageTransitionEvent): void => {
  if (!persisted) return
  kind = 'back-forward-cache'
  hiddenAt = Limit.Never
  told = {}
  sum = 0
  cls = stable()
  inp = -1
  longest = []
  before = count()
  tell('TTFB', 0)
  requestAnimationFrame(() =>
    requestAnimationFrame(
      guard(() => {
        const value = performance.now() - timeStamp
        tell('FCP', value)
        tell('LCP', value)
      }),
    ),
  )
}

/** Web Vitals as Google defines them today, each with the element to blame. */
export const vitals = (): void => {
  if (!wants('vitals')) return
  const { activationStart = 0, responseStart, type = '' } = arrival()
  activation = activationStart
  kind = activation ? 'prerender' : type.replace('_', '-')
  hiddenAt =
    performance
      .getEntriesByType('visibility-state')
      .find(({ name, startTime }) => name === 'hidden' && startTime >= activation)?.startTime ??
    (document.hidden ? 0 : Limit.Never)

  observe('paint', (entries) => {
    for (const { name, startTime } of entries) {
      if (name !== 'first-contentful-paint') continue
      cls = Math.max(cls, stable())
      if (startTime < hiddenAt) tell('FCP', sinceStart(startTime))
    }
  })
  const paints = observe('largest-contentful-paint', largest)
  const finish = (): void => {
    if (final) return
    paints()
    final = true
    tell('LCP', lcp, lcpTarget)
  }
  listen(window, 'keydown click', (event) => event.isTrusted && soon(finish))
  const shifts = observe('layout-shift', shifted)
  const interactions = observe('event first-input', (entries) => soon(() => interacted(entries)))

  const loaded = guard((): void => {
    // Firefox has been seen to tell a time before the start.
    if ((responseStart as number) > 0) tell('TTFB', sinceStart(responseStart as number))
  })
  if (document.readyState === 'complete') loaded()
  else listen(window, 'load', () => setTimeout(loaded))

  subscribe('hide', () => {
    hiddenAt = Math.min(hiddenAt, performance.now())
    hurry()
    finish()
    shifts()
    interactions()
    hurry()
    tell('CLS', cls, clsTarget)
    tell('INP', inp, inpTarget)
  })
  listen(window, 'pageshow', restored)
}
