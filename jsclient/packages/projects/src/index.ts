// Generated from the graph's entity types by cmd/tsgen. Do not edit.
import { $ } from '@headlessly/sdk'
import type * as sdk from '@headlessly/sdk'

export { $, Headlessly, HeadlesslyError } from '@headlessly/sdk'

/** A Comment as it is read. */
export type Comment = sdk.Comment
/** The verbs, finds and hooks of Comment, for the tenant that the environment names. */
export const Comment: sdk.EntityTypes['Comment'] = $.Comment

/** An Issue as it is read. */
export type Issue = sdk.Issue
/** The verbs, finds and hooks of Issue, for the tenant that the environment names. */
export const Issue: sdk.EntityTypes['Issue'] = $.Issue

/** A Project as it is read. */
export type Project = sdk.Project
/** The verbs, finds and hooks of Project, for the tenant that the environment names. */
export const Project: sdk.EntityTypes['Project'] = $.Project
