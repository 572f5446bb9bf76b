import { addCrumb } from './breadcrumbs'
import { guard, listen, subscribe, wants } from './core'
import { ignored, selectorOf, textOf } from './dom'
import { emit } from './emit'

const BUTTON = 'button,summary,[role=button]'
const MEANINGFUL = BUTTON + ',a,input,select,textarea,label,[role=tab],[role=menuitem],[onclick],[data-hly]'
const FILE = /\.(pdf|zip|t?gz|7z|dmg|exe|msi|apk|(doc|xls|ppt)x?|csv|mp[34])$/i
const enum Limit {
  /** This many clicks within a second and 30 pixels are rage. */
  Rage = 3,
  /** A button that changes nothing for this long is dead. */
  Dead = 1500,
}

/** When and where; nothing yet. */
let clicked = [0] as unknown as [number, number, number]
let burst = 0
let stirs = 0

const tell = (event: string, element: Element, more?: object): void => {
  const { localName: tag } = element
  emit('click', { event, properties: { tag, selector: selectorOf(element), text: textOf(element), ...more } })
}
const stir = (): void => {
  stirs++
}
const look = (): string => [stirs, location.href, scrollY, selectorOf(document.activeElement)] + ''

/** Reports a click that nothing followed: no change of the page, its address, focus or scroll. */
const watch = (element: Element): void => {
  const before = look()
  const observer = new MutationObserver(stir)
  observer.observe(document, { subtree: 1, childList: 1, attributes: 1, characterData: 1 } as never)
  setTimeout(
    guard(() => {
      observer.disconnect()
      if (before === look()) tell('dead_click', element)
    }),
    Limit.Dead,
  )
}

const click = (event: MouseEvent): void => {
  const { button, clientX: x, clientY: y, timeStamp } = event
  const [time, left, top] = clicked
  const target = event.composedPath()[0] as Element
  if (button > 1 || !target.closest || ignored(target)) return
  const element = target.closest(MEANINGFUL) || target
  const link = target.closest('a[href]') as HTMLAnchorElement
  const { href, host, pathname } = link || {}
  addCrumb({ category: 'ui.click', message: selectorOf(element) })
  if (wants('downloads') && link && (link.hasAttribute('download') || FILE.test(pathname))) {
    tell('download', link, { href })
  } else if (wants('outbound') && host && host !== location.host) tell('outbound_click', link, { href, host })
  else if (wants('clicks') && element.matches(MEANINGFUL)) {
    tell('click', element, { href, x, y })
    if (!link && element.matches(BUTTON)) watch(element)
  }
  if (timeStamp - time > 1000 || Math.hypot(x - left, y - top) > 30) burst = 0
  clicked = [timeStamp, x, y]
  if (++burst === Limit.Rage && wants('clicks')) tell('rage_click', element, { x, y })
}

/** Clicks on something meaningful, outbound links, downloads, copies, rage and dead clicks. */
export const clicks = (): void => {
  subscribe('hide', stir)
  listen(document, 'click auxclick', click)
  listen(document, 'copy', ({ target }) => {
    if (wants('clicks') && !ignored(target as Element)) {
      tell('copy', target as Element, { length: ('' + getSelection()).length })
    }
  })
}
