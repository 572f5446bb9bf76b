import type { Core } from './core'
import type { Api, Breadcrumb } from './types'

const MAX_CRUMBS = 50

/** Notes what happened before an error. */
export const addCrumb = (core: Core, crumb: Breadcrumb): void => {
  const crumbs = (core._scope.breadcrumbs as Breadcrumb[]) || []
  core._scope.breadcrumbs = [...crumbs.slice(1 - MAX_CRUMBS), { timestamp: Date.now(), ...crumb }]
}

export const crumbApi = (core: Core): Partial<Api> => ({ addBreadcrumb: (crumb) => addCrumb(core, crumb) })
