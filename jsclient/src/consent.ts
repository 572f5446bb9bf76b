import type { Store } from './store'
import type { Config, ConsentChoice } from './types'

/** granted: capture. denied: capture nothing. wait: hold in memory until told. */
export type Mode = 'granted' | 'denied' | 'wait'

/** A choice as it is kept and sent: a word, or a word for each category. */
export type Consent = string | Record<string, string>

const word = (value: unknown): string => (value === true || value === 'granted' ? 'granted' : 'denied')

/** A caller's choice in the form that is kept. */
export const consentOf = (choice: ConsentChoice): Consent => {
  if (typeof choice === 'string') return choice
  const consent: Record<string, string> = {}
  for (const name of Object.keys(choice)) consent[name] = word(choice[name])
  return consent
}

/** What a choice means for capturing: the category analytics decides. */
export const modeOf = (consent: Consent | undefined): Mode =>
  (typeof consent === 'object' ? consent.analytics || 'granted' : consent || 'granted') as Mode

/** The browser's own signals: Global Privacy Control, Do Not Track. */
const refused = (): boolean => {
  const n = navigator as { globalPrivacyControl?: boolean; doNotTrack?: string | null }
  return !!n.globalPrivacyControl || n.doNotTrack === '1' || n.doNotTrack === 'yes'
}

/**
 * The consent to start with: what the visitor chose here before, else what
 * the browser says for them, else what the page says.
 */
export const initialConsent = (config: Config, store: Store, key: string): Consent | undefined => {
  const kept = store._get(key)
  if (kept) return kept[0] === '{' ? JSON.parse(kept) : kept
  return refused() ? 'denied' : config.consent || undefined
}

/** Google consent mode's signals, from the commands that the page gave to gtag. */
export const googleConsent = (): Record<string, string> => {
  let signals = {}
  const layer = (window as { dataLayer?: ArrayLike<unknown> }).dataLayer
  for (let i = 0; layer && i < layer.length; i++) {
    const command = Object(layer[i]) as ArrayLike<unknown>
    if (command[0] === 'consent') signals = { ...signals, ...Object(command[2]) }
  }
  return signals
}
