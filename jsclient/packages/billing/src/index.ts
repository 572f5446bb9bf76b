// Generated from the graph's entity types by cmd/tsgen. Do not edit.
import { $ } from '@headlessly/sdk'
import type * as sdk from '@headlessly/sdk'

export { $, Headlessly, HeadlesslyError } from '@headlessly/sdk'

/** A Customer as it is read. */
export type Customer = sdk.Customer
/** The verbs, finds and hooks of Customer, for the tenant that the environment names. */
export const Customer: sdk.EntityTypes['Customer'] = $.Customer

/** An Invoice as it is read. */
export type Invoice = sdk.Invoice
/** The verbs, finds and hooks of Invoice, for the tenant that the environment names. */
export const Invoice: sdk.EntityTypes['Invoice'] = $.Invoice

/** A Payment as it is read. */
export type Payment = sdk.Payment
/** The verbs, finds and hooks of Payment, for the tenant that the environment names. */
export const Payment: sdk.EntityTypes['Payment'] = $.Payment

/** A Plan as it is read. */
export type Plan = sdk.Plan
/** The verbs, finds and hooks of Plan, for the tenant that the environment names. */
export const Plan: sdk.EntityTypes['Plan'] = $.Plan

/** A Price as it is read. */
export type Price = sdk.Price
/** The verbs, finds and hooks of Price, for the tenant that the environment names. */
export const Price: sdk.EntityTypes['Price'] = $.Price

/** A Product as it is read. */
export type Product = sdk.Product
/** The verbs, finds and hooks of Product, for the tenant that the environment names. */
export const Product: sdk.EntityTypes['Product'] = $.Product

/** A Subscription as it is read. */
export type Subscription = sdk.Subscription
/** The verbs, finds and hooks of Subscription, for the tenant that the environment names. */
export const Subscription: sdk.EntityTypes['Subscription'] = $.Subscription
