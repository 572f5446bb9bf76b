// Points every integration that is connected at the stand-ins of this run, by a before hook: the page's own lines name
// no address.
import { Integration } from '@headlessly/platform'

const { STRIPE_STANDIN, GITHUB_STANDIN, SLACK_STANDIN, HOOKS_STANDIN, ANALYTICS_STANDIN } = process.env
const hook = Integration.connecting((draft) => {
  if (draft.provider === 'stripe') draft.apiBaseUrl = STRIPE_STANDIN
  if (draft.provider === 'github') draft.apiBaseUrl = GITHUB_STANDIN
  if (draft.provider === 'slack') draft.apiBaseUrl = SLACK_STANDIN
  if (draft.provider === 'webhook') draft.url = HOOKS_STANDIN
  if (draft.provider === 'analytics') {
    const d = draft.destinations ?? {}
    if (d.ga) d.ga.endpoint = ANALYTICS_STANDIN
    if (d.posthog) d.posthog.host = ANALYTICS_STANDIN
  }
}, { name: 'standins', missing: 'veto' })
await hook.ready
console.log('pointing')
