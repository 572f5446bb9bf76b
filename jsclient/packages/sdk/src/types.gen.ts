// Generated from the graph's entity types by cmd/tsgen. Do not edit.
import type { AfterHook, BeforeHook, Entity, EntityType, Verb } from './entity.js'

/** Integration (platform). */
export interface Integration extends Entity {
  readonly $type: 'Integration'
  name?: string
  slug?: string
  description?: string
  provider: string
  providerUrl?: string
  providerLogo?: string
  category?: 'Payment' | 'CRM' | 'Marketing' | 'Analytics' | 'Communication' | 'Storage' | 'AI' | 'Other'
  authType?: 'OAuth2' | 'ApiKey' | 'Basic' | 'Custom'
  status?: 'Available' | 'Connected' | 'Active' | 'Syncing' | 'Synced' | 'Errored' | 'Disconnected' | 'ComingSoon' | 'Deprecated'
  config?: any
  events?: string[]
  url?: string
  destinations?: any
  lastSyncAt?: string
  lastSyncCount?: number
  lastSyncDuration?: number
  error?: string
  errorCount?: number
  webhookSupport?: boolean
  apiBaseUrl?: string
}

/** What a caller may set of an Integration; unknown fields are kept. */
export interface IntegrationInput {
  name?: string | null | undefined
  slug?: string | null | undefined
  description?: string | null | undefined
  provider?: string | null | undefined
  providerUrl?: string | null | undefined
  providerLogo?: string | null | undefined
  category?: 'Payment' | 'CRM' | 'Marketing' | 'Analytics' | 'Communication' | 'Storage' | 'AI' | 'Other' | null | undefined
  authType?: 'OAuth2' | 'ApiKey' | 'Basic' | 'Custom' | null | undefined
  status?: 'Available' | 'Connected' | 'Active' | 'Syncing' | 'Synced' | 'Errored' | 'Disconnected' | 'ComingSoon' | 'Deprecated' | null | undefined
  config?: any | null | undefined
  events?: string[] | null | undefined
  url?: string | null | undefined
  destinations?: any | null | undefined
  lastSyncAt?: string | null | undefined
  lastSyncCount?: number | null | undefined
  lastSyncDuration?: number | null | undefined
  error?: string | null | undefined
  errorCount?: number | null | undefined
  webhookSupport?: boolean | null | undefined
  apiBaseUrl?: string | null | undefined
  /** A credential: stored sealed, never shown again. */
  apiKey?: string | undefined
  /** A credential: stored sealed, never shown again. */
  token?: string | undefined
  /** A credential: stored sealed, never shown again. */
  secret?: string | undefined
  /** A credential: stored sealed, never shown again. */
  webhook?: string | undefined
  /** A credential: stored sealed, never shown again. */
  webhookSecret?: string | undefined
  headers?: Record<string, string>
  /** A credential: stored sealed, never shown again. */
  credentials?: string | undefined
  [field: string]: unknown
}

/** Customer (billing). */
export interface Customer extends Entity {
  readonly $type: 'Customer'
  name: string
  email: string
  organization?: string
  stripeCustomerId?: string
  paymentMethod?: string
  currency?: string
  contact?: string
  taxExempt?: string
  subscriptions?: string[]
}

/** What a caller may set of a Customer; unknown fields are kept. */
export interface CustomerInput {
  name?: string | null | undefined
  email?: string | null | undefined
  organization?: string | null | undefined
  stripeCustomerId?: string | null | undefined
  paymentMethod?: string | null | undefined
  currency?: string | null | undefined
  contact?: string | null | undefined
  taxExempt?: string | null | undefined
  [field: string]: unknown
}

/** Product (billing). */
export interface Product extends Entity {
  readonly $type: 'Product'
  name: string
  slug?: string
  description?: string
  tagline?: string
  type?: 'Software' | 'Service' | 'Addon' | 'Bundle'
  image?: string
  features?: any
  status?: 'Draft' | 'Active' | 'Archived'
  visibility?: 'Public' | 'Private' | 'Hidden'
  stripeProductId?: string
  plans?: string[]
  prices?: string[]
}

/** What a caller may set of a Product; unknown fields are kept. */
export interface ProductInput {
  name?: string | null | undefined
  slug?: string | null | undefined
  description?: string | null | undefined
  tagline?: string | null | undefined
  type?: 'Software' | 'Service' | 'Addon' | 'Bundle' | null | undefined
  image?: string | null | undefined
  features?: any | null | undefined
  status?: 'Draft' | 'Active' | 'Archived' | null | undefined
  visibility?: 'Public' | 'Private' | 'Hidden' | null | undefined
  stripeProductId?: string | null | undefined
  [field: string]: unknown
}

/** Plan (billing). */
export interface Plan extends Entity {
  readonly $type: 'Plan'
  name: string
  slug?: string
  product?: string
  trialDays?: number
  features?: any
  limits?: any
  status?: 'Draft' | 'Active' | 'Grandfathered' | 'Archived'
  prices?: string[]
}

/** What a caller may set of a Plan; unknown fields are kept. */
export interface PlanInput {
  name?: string | null | undefined
  slug?: string | null | undefined
  product?: string | null | undefined
  trialDays?: number | null | undefined
  features?: any | null | undefined
  limits?: any | null | undefined
  status?: 'Draft' | 'Active' | 'Grandfathered' | 'Archived' | null | undefined
  [field: string]: unknown
}

/** Price (billing). */
export interface Price extends Entity {
  readonly $type: 'Price'
  amount: number
  currency?: string
  interval?: 'Daily' | 'Weekly' | 'Monthly' | 'Quarterly' | 'Yearly' | 'OneTime' | 'Usage'
  intervalCount?: number
  active?: boolean
  product?: string
  plan?: string
  stripePriceId?: string
}

/** What a caller may set of a Price; unknown fields are kept. */
export interface PriceInput {
  amount?: number | null | undefined
  currency?: string | null | undefined
  interval?: 'Daily' | 'Weekly' | 'Monthly' | 'Quarterly' | 'Yearly' | 'OneTime' | 'Usage' | null | undefined
  intervalCount?: number | null | undefined
  active?: boolean | null | undefined
  product?: string | null | undefined
  plan?: string | null | undefined
  stripePriceId?: string | null | undefined
  [field: string]: unknown
}

/** Subscription (billing). */
export interface Subscription extends Entity {
  readonly $type: 'Subscription'
  status?: 'Active' | 'PastDue' | 'Cancelled' | 'Trialing' | 'Paused' | 'Incomplete' | 'Unpaid'
  customer?: string
  contact?: string
  plan?: string
  price?: string
  quantity?: number
  items?: any
  currentPeriodStart?: string
  currentPeriodEnd?: string
  cancelAtPeriodEnd?: boolean
  trialStart?: string
  trialEnd?: string
  startedAt?: string
  canceledAt?: string
  pausedAt?: string
  resumesAt?: string
  endedAt?: string
  cancelReason?: string
  cancelFeedback?: string
  collectionMethod?: string
  stripeSubscriptionId?: string
  stripeCustomerId?: string
}

/** What a caller may set of a Subscription; unknown fields are kept. */
export interface SubscriptionInput {
  status?: 'Active' | 'PastDue' | 'Cancelled' | 'Trialing' | 'Paused' | 'Incomplete' | 'Unpaid' | null | undefined
  customer?: string | null | undefined
  contact?: string | null | undefined
  plan?: string | null | undefined
  price?: string | null | undefined
  quantity?: number | null | undefined
  items?: any | null | undefined
  currentPeriodStart?: string | null | undefined
  currentPeriodEnd?: string | null | undefined
  cancelAtPeriodEnd?: boolean | null | undefined
  trialStart?: string | null | undefined
  trialEnd?: string | null | undefined
  startedAt?: string | null | undefined
  canceledAt?: string | null | undefined
  pausedAt?: string | null | undefined
  resumesAt?: string | null | undefined
  endedAt?: string | null | undefined
  cancelReason?: string | null | undefined
  cancelFeedback?: string | null | undefined
  collectionMethod?: string | null | undefined
  stripeSubscriptionId?: string | null | undefined
  stripeCustomerId?: string | null | undefined
  [field: string]: unknown
}

/** Invoice (billing). */
export interface Invoice extends Entity {
  readonly $type: 'Invoice'
  number?: string
  customer?: string
  subscription?: string
  subtotal?: number
  tax?: number
  discount?: number
  total?: number
  amountPaid?: number
  amountDue?: number
  currency?: string
  status?: 'Draft' | 'Open' | 'Paid' | 'Voided' | 'Uncollectible'
  periodStart?: string
  periodEnd?: string
  issuedAt?: string
  dueAt?: string
  paidAt?: string
  voidedAt?: string
  lineItems?: any
  receiptUrl?: string
  pdfUrl?: string
  hostedUrl?: string
  stripeInvoiceId?: string
}

/** What a caller may set of an Invoice; unknown fields are kept. */
export interface InvoiceInput {
  number?: string | null | undefined
  customer?: string | null | undefined
  subscription?: string | null | undefined
  subtotal?: number | null | undefined
  tax?: number | null | undefined
  discount?: number | null | undefined
  total?: number | null | undefined
  amountPaid?: number | null | undefined
  amountDue?: number | null | undefined
  currency?: string | null | undefined
  status?: 'Draft' | 'Open' | 'Paid' | 'Voided' | 'Uncollectible' | null | undefined
  periodStart?: string | null | undefined
  periodEnd?: string | null | undefined
  issuedAt?: string | null | undefined
  dueAt?: string | null | undefined
  paidAt?: string | null | undefined
  voidedAt?: string | null | undefined
  lineItems?: any | null | undefined
  receiptUrl?: string | null | undefined
  pdfUrl?: string | null | undefined
  hostedUrl?: string | null | undefined
  stripeInvoiceId?: string | null | undefined
  [field: string]: unknown
}

/** Payment (billing). */
export interface Payment extends Entity {
  readonly $type: 'Payment'
  amount: number
  currency?: string
  status?: 'Pending' | 'Succeeded' | 'Failed' | 'Refunded'
  method?: string
  customer?: string
  invoice?: string
  stripePaymentId?: string
}

/** What a caller may set of a Payment; unknown fields are kept. */
export interface PaymentInput {
  amount?: number | null | undefined
  currency?: string | null | undefined
  status?: 'Pending' | 'Succeeded' | 'Failed' | 'Refunded' | null | undefined
  method?: string | null | undefined
  customer?: string | null | undefined
  invoice?: string | null | undefined
  stripePaymentId?: string | null | undefined
  [field: string]: unknown
}

/** Project (projects). */
export interface Project extends Entity {
  readonly $type: 'Project'
  name: string
  slug?: string
  description?: string
  status?: 'Active' | 'Archived' | 'Completed'
  visibility?: string
  owner?: string
  startDate?: string
  targetDate?: string
  tags?: any
  githubRepo?: string
  githubId?: string
  issues?: string[]
}

/** What a caller may set of a Project; unknown fields are kept. */
export interface ProjectInput {
  name?: string | null | undefined
  slug?: string | null | undefined
  description?: string | null | undefined
  status?: 'Active' | 'Archived' | 'Completed' | null | undefined
  visibility?: string | null | undefined
  owner?: string | null | undefined
  startDate?: string | null | undefined
  targetDate?: string | null | undefined
  tags?: any | null | undefined
  githubRepo?: string | null | undefined
  githubId?: string | null | undefined
  [field: string]: unknown
}

/** Issue (projects). */
export interface Issue extends Entity {
  readonly $type: 'Issue'
  title: string
  description?: string
  status?: 'Open' | 'Todo' | 'Assigned' | 'InProgress' | 'Review' | 'Done' | 'Closed' | 'Reopened'
  priority?: 'Low' | 'Medium' | 'High' | 'Urgent'
  type?: 'Bug' | 'Feature' | 'Task' | 'Epic' | 'PullRequest'
  project?: string
  assignee?: string
  reporter?: string
  labels?: string[]
  milestone?: string
  dueDate?: string
  githubId?: string
  githubNumber?: number
  url?: string
  comments?: string[]
}

/** What a caller may set of an Issue; unknown fields are kept. */
export interface IssueInput {
  title?: string | null | undefined
  description?: string | null | undefined
  status?: 'Open' | 'Todo' | 'Assigned' | 'InProgress' | 'Review' | 'Done' | 'Closed' | 'Reopened' | null | undefined
  priority?: 'Low' | 'Medium' | 'High' | 'Urgent' | null | undefined
  type?: 'Bug' | 'Feature' | 'Task' | 'Epic' | 'PullRequest' | null | undefined
  project?: string | null | undefined
  assignee?: string | null | undefined
  reporter?: string | null | undefined
  labels?: string[] | null | undefined
  milestone?: string | null | undefined
  dueDate?: string | null | undefined
  githubId?: string | null | undefined
  githubNumber?: number | null | undefined
  url?: string | null | undefined
  [field: string]: unknown
}

/** Comment (projects). */
export interface Comment extends Entity {
  readonly $type: 'Comment'
  body: string
  author?: string
  issue?: string
  githubId?: string
  url?: string
}

/** What a caller may set of a Comment; unknown fields are kept. */
export interface CommentInput {
  body?: string | null | undefined
  author?: string | null | undefined
  issue?: string | null | undefined
  githubId?: string | null | undefined
  url?: string | null | undefined
  [field: string]: unknown
}

/** Contact (crm). */
export interface Contact extends Entity {
  readonly $type: 'Contact'
  name: string
  email?: string
  phone?: string
  organization?: string
  stage?: 'Lead' | 'Qualified' | 'Customer' | 'Churned' | 'Partner'
  status?: string
  source?: string
  leadScore?: number
  customers?: string[]
  subscriptions?: string[]
}

/** What a caller may set of a Contact; unknown fields are kept. */
export interface ContactInput {
  name?: string | null | undefined
  email?: string | null | undefined
  phone?: string | null | undefined
  organization?: string | null | undefined
  stage?: 'Lead' | 'Qualified' | 'Customer' | 'Churned' | 'Partner' | null | undefined
  status?: string | null | undefined
  source?: string | null | undefined
  leadScore?: number | null | undefined
  [field: string]: unknown
}

/** Campaign (marketing). */
export interface Campaign extends Entity {
  readonly $type: 'Campaign'
  name: string
  type?: string
  status?: string
  segment?: string
  contacts?: string[]
}

/** What a caller may set of a Campaign; unknown fields are kept. */
export interface CampaignInput {
  name?: string | null | undefined
  type?: string | null | undefined
  status?: string | null | undefined
  segment?: string | null | undefined
  contacts?: string[] | null | undefined
  [field: string]: unknown
}

/** Deal (crm). */
export interface Deal extends Entity {
  readonly $type: 'Deal'
  name: string
  value?: number
  contact?: string
  stage?: 'Open' | 'Won' | 'Lost' | 'Closed'
}

/** What a caller may set of a Deal; unknown fields are kept. */
export interface DealInput {
  name?: string | null | undefined
  value?: number | null | undefined
  contact?: string | null | undefined
  stage?: 'Open' | 'Won' | 'Lost' | 'Closed' | null | undefined
  [field: string]: unknown
}

/** Ticket (support). */
export interface Ticket extends Entity {
  readonly $type: 'Ticket'
  subject: string
  status?: string
  priority?: string
  contact?: string
}

/** What a caller may set of a Ticket; unknown fields are kept. */
export interface TicketInput {
  subject?: string | null | undefined
  status?: string | null | undefined
  priority?: string | null | undefined
  contact?: string | null | undefined
  [field: string]: unknown
}

/** Agent (platform). */
export interface Agent extends Entity {
  readonly $type: 'Agent'
  name: string
  status?: string
}

/** What a caller may set of an Agent; unknown fields are kept. */
export interface AgentInput {
  name?: string | null | undefined
  status?: string | null | undefined
  [field: string]: unknown
}

/** Handler (platform). */
export interface Handler extends Entity {
  readonly $type: 'Handler'
  name: string
  description?: string
  hook: string
  phase?: 'before' | 'after'
  source: string
  status?: 'Active' | 'Disabled'
  missing?: 'skip' | 'veto'
  deadlineMs?: number
}

/** What a caller may set of a Handler; unknown fields are kept. */
export interface HandlerInput {
  name?: string | null | undefined
  description?: string | null | undefined
  hook?: string | null | undefined
  phase?: 'before' | 'after' | null | undefined
  source?: string | null | undefined
  status?: 'Active' | 'Disabled' | null | undefined
  missing?: 'skip' | 'veto' | null | undefined
  deadlineMs?: number | null | undefined
  [field: string]: unknown
}

/** Event (analytics). */
export interface Event extends Entity {
  readonly $type: 'Event'
  name: string
  type: string
  data?: any
  source?: 'Browser' | 'Node' | 'API' | 'Snippet' | 'Stripe' | 'GitHub'
  sessionId?: string
  userId?: string
  anonymousId?: string
  timestamp?: string
  url?: string
  path?: string
  referrer?: string
  properties?: any
  messageId?: string
}

/** What a caller may set of an Event; unknown fields are kept. */
export interface EventInput {
  name?: string | null | undefined
  type?: string | null | undefined
  data?: any | null | undefined
  source?: 'Browser' | 'Node' | 'API' | 'Snippet' | 'Stripe' | 'GitHub' | null | undefined
  sessionId?: string | null | undefined
  userId?: string | null | undefined
  anonymousId?: string | null | undefined
  timestamp?: string | null | undefined
  url?: string | null | undefined
  path?: string | null | undefined
  referrer?: string | null | undefined
  properties?: any | null | undefined
  messageId?: string | null | undefined
  [field: string]: unknown
}

/** Metric (analytics). */
export interface Metric extends Entity {
  readonly $type: 'Metric'
  name: string
  value: number
  type?: 'Counter' | 'Gauge' | 'Histogram' | 'Summary'
  unit?: string
  dimensions?: any
  timestamp?: string
}

/** What a caller may set of a Metric; unknown fields are kept. */
export interface MetricInput {
  name?: string | null | undefined
  value?: number | null | undefined
  type?: 'Counter' | 'Gauge' | 'Histogram' | 'Summary' | null | undefined
  unit?: string | null | undefined
  dimensions?: any | null | undefined
  timestamp?: string | null | undefined
  [field: string]: unknown
}

/** ApiKey (identity). */
export interface ApiKey extends Entity {
  readonly $type: 'ApiKey'
  name: string
  kind?: 'public' | 'secret'
  prefix?: string
  scopes?: string[]
  lastUsedAt?: string
  revokedAt?: string
}

/** What a caller may set of an ApiKey; unknown fields are kept. */
export interface ApiKeyInput {
  name?: string | null | undefined
  kind?: 'public' | 'secret' | null | undefined
  prefix?: string | null | undefined
  scopes?: string[] | null | undefined
  lastUsedAt?: string | null | undefined
  revokedAt?: string | null | undefined
  [field: string]: unknown
}

/** Alert (platform). */
export interface Alert extends Entity {
  readonly $type: 'Alert'
  name: string
  metric: string
  threshold: number
  direction?: 'Above' | 'Below'
  status?: 'Ok' | 'Firing' | 'Unknown'
  value?: number
  since?: string
  description?: string
}

/** What a caller may set of an Alert; unknown fields are kept. */
export interface AlertInput {
  name?: string | null | undefined
  metric?: string | null | undefined
  threshold?: number | null | undefined
  direction?: 'Above' | 'Below' | null | undefined
  status?: 'Ok' | 'Firing' | 'Unknown' | null | undefined
  value?: number | null | undefined
  since?: string | null | undefined
  description?: string | null | undefined
  [field: string]: unknown
}

/** Every entity type by its name. */
export interface Entities {
  Integration: Integration
  Customer: Customer
  Product: Product
  Plan: Plan
  Price: Price
  Subscription: Subscription
  Invoice: Invoice
  Payment: Payment
  Project: Project
  Issue: Issue
  Comment: Comment
  Contact: Contact
  Campaign: Campaign
  Deal: Deal
  Ticket: Ticket
  Agent: Agent
  Handler: Handler
  Event: Event
  Metric: Metric
  ApiKey: ApiKey
  Alert: Alert
}

/** The verbs and hooks of Integration. */
export interface IntegrationType extends EntityType<Integration, IntegrationInput> {
  /** Does Integration.Connected. */
  connect: Verb<Integration, IntegrationInput>
  /** Does Integration.Disconnected. */
  disconnect: Verb<Integration, IntegrationInput>
  /** Does Integration.Synced. */
  sync: Verb<Integration, IntegrationInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Integration>
  /** After Integration.Created. */
  created: AfterHook<Integration>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Integration>
  /** After Integration.Updated. */
  updated: AfterHook<Integration>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Integration>
  /** After Integration.Deleted. */
  deleted: AfterHook<Integration>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Integration>
  /** After Integration.RolledBack. */
  rolledBack: AfterHook<Integration>
  /** Before connect: may change the draft; a throw vetoes. */
  connecting: BeforeHook<Integration>
  /** After Integration.Connected. */
  connected: AfterHook<Integration>
  /** Before disconnect: may change the draft; a throw vetoes. */
  disconnecting: BeforeHook<Integration>
  /** After Integration.Disconnected. */
  disconnected: AfterHook<Integration>
  /** Before sync: may change the draft; a throw vetoes. After Integration.Syncing. */
  syncing: BeforeHook<Integration> & AfterHook<Integration>
  /** After Integration.Synced. */
  synced: AfterHook<Integration>
  /** After Integration.Errored. */
  errored: AfterHook<Integration>
  /** After Integration.Recovered. */
  recovered: AfterHook<Integration>
}

/** The verbs and hooks of Customer. */
export interface CustomerType extends EntityType<Customer, CustomerInput> {
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Customer>
  /** After Customer.Created. */
  created: AfterHook<Customer>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Customer>
  /** After Customer.Updated. */
  updated: AfterHook<Customer>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Customer>
  /** After Customer.Deleted. */
  deleted: AfterHook<Customer>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Customer>
  /** After Customer.RolledBack. */
  rolledBack: AfterHook<Customer>
}

/** The verbs and hooks of Product. */
export interface ProductType extends EntityType<Product, ProductInput> {
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Product>
  /** After Product.Created. */
  created: AfterHook<Product>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Product>
  /** After Product.Updated. */
  updated: AfterHook<Product>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Product>
  /** After Product.Deleted. */
  deleted: AfterHook<Product>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Product>
  /** After Product.RolledBack. */
  rolledBack: AfterHook<Product>
}

/** The verbs and hooks of Plan. */
export interface PlanType extends EntityType<Plan, PlanInput> {
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Plan>
  /** After Plan.Created. */
  created: AfterHook<Plan>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Plan>
  /** After Plan.Updated. */
  updated: AfterHook<Plan>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Plan>
  /** After Plan.Deleted. */
  deleted: AfterHook<Plan>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Plan>
  /** After Plan.RolledBack. */
  rolledBack: AfterHook<Plan>
}

/** The verbs and hooks of Price. */
export interface PriceType extends EntityType<Price, PriceInput> {
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Price>
  /** After Price.Created. */
  created: AfterHook<Price>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Price>
  /** After Price.Updated. */
  updated: AfterHook<Price>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Price>
  /** After Price.Deleted. */
  deleted: AfterHook<Price>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Price>
  /** After Price.RolledBack. */
  rolledBack: AfterHook<Price>
}

/** The verbs and hooks of Subscription. */
export interface SubscriptionType extends EntityType<Subscription, SubscriptionInput> {
  /** Does Subscription.Paused. */
  pause: Verb<Subscription, SubscriptionInput>
  /** Does Subscription.Cancelled. */
  cancel: Verb<Subscription, SubscriptionInput>
  /** Does Subscription.Reactivated. */
  reactivate: Verb<Subscription, SubscriptionInput>
  /** Does Subscription.Upgraded. */
  upgrade: Verb<Subscription, SubscriptionInput>
  /** Does Subscription.Downgraded. */
  downgrade: Verb<Subscription, SubscriptionInput>
  /** Does Subscription.Activated. */
  activate: Verb<Subscription, SubscriptionInput>
  /** Does Subscription.Renewed. */
  renew: Verb<Subscription, SubscriptionInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Subscription>
  /** After Subscription.Created. */
  created: AfterHook<Subscription>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Subscription>
  /** After Subscription.Updated. */
  updated: AfterHook<Subscription>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Subscription>
  /** After Subscription.Deleted. */
  deleted: AfterHook<Subscription>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Subscription>
  /** After Subscription.RolledBack. */
  rolledBack: AfterHook<Subscription>
  /** Before pause: may change the draft; a throw vetoes. */
  pausing: BeforeHook<Subscription>
  /** After Subscription.Paused. */
  paused: AfterHook<Subscription>
  /** Before cancel: may change the draft; a throw vetoes. */
  cancelling: BeforeHook<Subscription>
  /** After Subscription.Cancelled. */
  cancelled: AfterHook<Subscription>
  /** Before reactivate: may change the draft; a throw vetoes. */
  reactivating: BeforeHook<Subscription>
  /** After Subscription.Reactivated. */
  reactivated: AfterHook<Subscription>
  /** Before upgrade: may change the draft; a throw vetoes. */
  upgrading: BeforeHook<Subscription>
  /** After Subscription.Upgraded. */
  upgraded: AfterHook<Subscription>
  /** Before downgrade: may change the draft; a throw vetoes. */
  downgrading: BeforeHook<Subscription>
  /** After Subscription.Downgraded. */
  downgraded: AfterHook<Subscription>
  /** Before activate: may change the draft; a throw vetoes. */
  activating: BeforeHook<Subscription>
  /** After Subscription.Activated. */
  activated: AfterHook<Subscription>
  /** Before renew: may change the draft; a throw vetoes. */
  renewing: BeforeHook<Subscription>
  /** After Subscription.Renewed. */
  renewed: AfterHook<Subscription>
}

/** The verbs and hooks of Invoice. */
export interface InvoiceType extends EntityType<Invoice, InvoiceInput> {
  /** Does Invoice.Paid. */
  pay: Verb<Invoice, InvoiceInput>
  /** Does Invoice.Voided. */
  void: Verb<Invoice, InvoiceInput>
  /** Does Invoice.Finalized. */
  finalize: Verb<Invoice, InvoiceInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Invoice>
  /** After Invoice.Created. */
  created: AfterHook<Invoice>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Invoice>
  /** After Invoice.Updated. */
  updated: AfterHook<Invoice>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Invoice>
  /** After Invoice.Deleted. */
  deleted: AfterHook<Invoice>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Invoice>
  /** After Invoice.RolledBack. */
  rolledBack: AfterHook<Invoice>
  /** Before pay: may change the draft; a throw vetoes. */
  paying: BeforeHook<Invoice>
  /** After Invoice.Paid. */
  paid: AfterHook<Invoice>
  /** Before void: may change the draft; a throw vetoes. */
  voiding: BeforeHook<Invoice>
  /** After Invoice.Voided. */
  voided: AfterHook<Invoice>
  /** Before finalize: may change the draft; a throw vetoes. */
  finalizing: BeforeHook<Invoice>
  /** After Invoice.Finalized. */
  finalized: AfterHook<Invoice>
}

/** The verbs and hooks of Payment. */
export interface PaymentType extends EntityType<Payment, PaymentInput> {
  /** Does Payment.Refunded. */
  refund: Verb<Payment, PaymentInput>
  /** Does Payment.Captured. */
  capture: Verb<Payment, PaymentInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Payment>
  /** After Payment.Created. */
  created: AfterHook<Payment>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Payment>
  /** After Payment.Updated. */
  updated: AfterHook<Payment>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Payment>
  /** After Payment.Deleted. */
  deleted: AfterHook<Payment>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Payment>
  /** After Payment.RolledBack. */
  rolledBack: AfterHook<Payment>
  /** Before refund: may change the draft; a throw vetoes. */
  refunding: BeforeHook<Payment>
  /** After Payment.Refunded. */
  refunded: AfterHook<Payment>
  /** Before capture: may change the draft; a throw vetoes. */
  capturing: BeforeHook<Payment>
  /** After Payment.Captured. */
  captured: AfterHook<Payment>
}

/** The verbs and hooks of Project. */
export interface ProjectType extends EntityType<Project, ProjectInput> {
  /** Does Project.Archived. */
  archive: Verb<Project, ProjectInput>
  /** Does Project.Completed. */
  complete: Verb<Project, ProjectInput>
  /** Does Project.Activated. */
  activate: Verb<Project, ProjectInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Project>
  /** After Project.Created. */
  created: AfterHook<Project>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Project>
  /** After Project.Updated. */
  updated: AfterHook<Project>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Project>
  /** After Project.Deleted. */
  deleted: AfterHook<Project>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Project>
  /** After Project.RolledBack. */
  rolledBack: AfterHook<Project>
  /** Before archive: may change the draft; a throw vetoes. */
  archiving: BeforeHook<Project>
  /** After Project.Archived. */
  archived: AfterHook<Project>
  /** Before complete: may change the draft; a throw vetoes. */
  completing: BeforeHook<Project>
  /** After Project.Completed. */
  completed: AfterHook<Project>
  /** Before activate: may change the draft; a throw vetoes. */
  activating: BeforeHook<Project>
  /** After Project.Activated. */
  activated: AfterHook<Project>
}

/** The verbs and hooks of Issue. */
export interface IssueType extends EntityType<Issue, IssueInput> {
  /** Does Issue.Assigned. */
  assign: Verb<Issue, IssueInput>
  /** Does Issue.Completed. */
  complete: Verb<Issue, IssueInput>
  /** Does Issue.Closed. */
  close: Verb<Issue, IssueInput>
  /** Does Issue.Reopened. */
  reopen: Verb<Issue, IssueInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Issue>
  /** After Issue.Created. */
  created: AfterHook<Issue>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Issue>
  /** After Issue.Updated. */
  updated: AfterHook<Issue>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Issue>
  /** After Issue.Deleted. */
  deleted: AfterHook<Issue>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Issue>
  /** After Issue.RolledBack. */
  rolledBack: AfterHook<Issue>
  /** Before assign: may change the draft; a throw vetoes. */
  assigning: BeforeHook<Issue>
  /** After Issue.Assigned. */
  assigned: AfterHook<Issue>
  /** Before complete: may change the draft; a throw vetoes. */
  completing: BeforeHook<Issue>
  /** After Issue.Completed. */
  completed: AfterHook<Issue>
  /** Before close: may change the draft; a throw vetoes. */
  closing: BeforeHook<Issue>
  /** After Issue.Closed. */
  closed: AfterHook<Issue>
  /** Before reopen: may change the draft; a throw vetoes. */
  reopening: BeforeHook<Issue>
  /** After Issue.Reopened. */
  reopened: AfterHook<Issue>
}

/** The verbs and hooks of Comment. */
export interface CommentType extends EntityType<Comment, CommentInput> {
  /** Does Comment.Resolved. */
  resolve: Verb<Comment, CommentInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Comment>
  /** After Comment.Created. */
  created: AfterHook<Comment>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Comment>
  /** After Comment.Updated. */
  updated: AfterHook<Comment>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Comment>
  /** After Comment.Deleted. */
  deleted: AfterHook<Comment>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Comment>
  /** After Comment.RolledBack. */
  rolledBack: AfterHook<Comment>
  /** Before resolve: may change the draft; a throw vetoes. */
  resolving: BeforeHook<Comment>
  /** After Comment.Resolved. */
  resolved: AfterHook<Comment>
}

/** The verbs and hooks of Contact. */
export interface ContactType extends EntityType<Contact, ContactInput> {
  /** Does Contact.Qualified. */
  qualify: Verb<Contact, ContactInput>
  /** Does Contact.Captured. */
  capture: Verb<Contact, ContactInput>
  /** Does Contact.Assigned. */
  assign: Verb<Contact, ContactInput>
  /** Does Contact.Merged. */
  merge: Verb<Contact, ContactInput>
  /** Does Contact.Enriched. */
  enrich: Verb<Contact, ContactInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Contact>
  /** After Contact.Created. */
  created: AfterHook<Contact>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Contact>
  /** After Contact.Updated. */
  updated: AfterHook<Contact>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Contact>
  /** After Contact.Deleted. */
  deleted: AfterHook<Contact>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Contact>
  /** After Contact.RolledBack. */
  rolledBack: AfterHook<Contact>
  /** Before qualify: may change the draft; a throw vetoes. */
  qualifying: BeforeHook<Contact>
  /** After Contact.Qualified. */
  qualified: AfterHook<Contact>
  /** Before capture: may change the draft; a throw vetoes. */
  capturing: BeforeHook<Contact>
  /** After Contact.Captured. */
  captured: AfterHook<Contact>
  /** Before assign: may change the draft; a throw vetoes. */
  assigning: BeforeHook<Contact>
  /** After Contact.Assigned. */
  assigned: AfterHook<Contact>
  /** Before merge: may change the draft; a throw vetoes. */
  merging: BeforeHook<Contact>
  /** After Contact.Merged. */
  merged: AfterHook<Contact>
  /** Before enrich: may change the draft; a throw vetoes. */
  enriching: BeforeHook<Contact>
  /** After Contact.Enriched. */
  enriched: AfterHook<Contact>
}

/** The verbs and hooks of Campaign. */
export interface CampaignType extends EntityType<Campaign, CampaignInput> {
  /** Does Campaign.Added. */
  add: Verb<Campaign, CampaignInput>
  /** Does Campaign.Launched. */
  launch: Verb<Campaign, CampaignInput>
  /** Does Campaign.Paused. */
  pause: Verb<Campaign, CampaignInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Campaign>
  /** After Campaign.Created. */
  created: AfterHook<Campaign>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Campaign>
  /** After Campaign.Updated. */
  updated: AfterHook<Campaign>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Campaign>
  /** After Campaign.Deleted. */
  deleted: AfterHook<Campaign>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Campaign>
  /** After Campaign.RolledBack. */
  rolledBack: AfterHook<Campaign>
  /** Before add: may change the draft; a throw vetoes. */
  adding: BeforeHook<Campaign>
  /** After Campaign.Added. */
  added: AfterHook<Campaign>
  /** Before launch: may change the draft; a throw vetoes. */
  launching: BeforeHook<Campaign>
  /** After Campaign.Launched. */
  launched: AfterHook<Campaign>
  /** Before pause: may change the draft; a throw vetoes. */
  pausing: BeforeHook<Campaign>
  /** After Campaign.Paused. */
  paused: AfterHook<Campaign>
}

/** The verbs and hooks of Deal. */
export interface DealType extends EntityType<Deal, DealInput> {
  /** Does Deal.Closed. */
  close: Verb<Deal, DealInput>
  /** Does Deal.Won. */
  win: Verb<Deal, DealInput>
  /** Does Deal.Lost. */
  lose: Verb<Deal, DealInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Deal>
  /** After Deal.Created. */
  created: AfterHook<Deal>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Deal>
  /** After Deal.Updated. */
  updated: AfterHook<Deal>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Deal>
  /** After Deal.Deleted. */
  deleted: AfterHook<Deal>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Deal>
  /** After Deal.RolledBack. */
  rolledBack: AfterHook<Deal>
  /** Before close: may change the draft; a throw vetoes. */
  closing: BeforeHook<Deal>
  /** After Deal.Closed. */
  closed: AfterHook<Deal>
  /** Before win: may change the draft; a throw vetoes. */
  winning: BeforeHook<Deal>
  /** After Deal.Won. */
  won: AfterHook<Deal>
  /** Before lose: may change the draft; a throw vetoes. */
  losing: BeforeHook<Deal>
  /** After Deal.Lost. */
  lost: AfterHook<Deal>
}

/** The verbs and hooks of Ticket. */
export interface TicketType extends EntityType<Ticket, TicketInput> {
  /** Does Ticket.Escalated. */
  escalate: Verb<Ticket, TicketInput>
  /** Does Ticket.Resolved. */
  resolve: Verb<Ticket, TicketInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Ticket>
  /** After Ticket.Created. */
  created: AfterHook<Ticket>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Ticket>
  /** After Ticket.Updated. */
  updated: AfterHook<Ticket>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Ticket>
  /** After Ticket.Deleted. */
  deleted: AfterHook<Ticket>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Ticket>
  /** After Ticket.RolledBack. */
  rolledBack: AfterHook<Ticket>
  /** Before escalate: may change the draft; a throw vetoes. */
  escalating: BeforeHook<Ticket>
  /** After Ticket.Escalated. */
  escalated: AfterHook<Ticket>
  /** Before resolve: may change the draft; a throw vetoes. */
  resolving: BeforeHook<Ticket>
  /** After Ticket.Resolved. */
  resolved: AfterHook<Ticket>
}

/** The verbs and hooks of Agent. */
export interface AgentType extends EntityType<Agent, AgentInput> {
  /** Does Agent.Notified. */
  notify: Verb<Agent, AgentInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Agent>
  /** After Agent.Created. */
  created: AfterHook<Agent>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Agent>
  /** After Agent.Updated. */
  updated: AfterHook<Agent>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Agent>
  /** After Agent.Deleted. */
  deleted: AfterHook<Agent>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Agent>
  /** After Agent.RolledBack. */
  rolledBack: AfterHook<Agent>
  /** Before notify: may change the draft; a throw vetoes. */
  notifying: BeforeHook<Agent>
  /** After Agent.Notified. */
  notified: AfterHook<Agent>
}

/** The verbs and hooks of Handler. */
export interface HandlerType extends EntityType<Handler, HandlerInput> {
  /** Does Handler.Enabled. */
  enable: Verb<Handler, HandlerInput>
  /** Does Handler.Disabled. */
  disable: Verb<Handler, HandlerInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Handler>
  /** After Handler.Created. */
  created: AfterHook<Handler>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Handler>
  /** After Handler.Updated. */
  updated: AfterHook<Handler>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Handler>
  /** After Handler.Deleted. */
  deleted: AfterHook<Handler>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Handler>
  /** After Handler.RolledBack. */
  rolledBack: AfterHook<Handler>
  /** Before enable: may change the draft; a throw vetoes. */
  enabling: BeforeHook<Handler>
  /** After Handler.Enabled. */
  enabled: AfterHook<Handler>
  /** Before disable: may change the draft; a throw vetoes. */
  disabling: BeforeHook<Handler>
  /** After Handler.Disabled. */
  disabled: AfterHook<Handler>
}

/** The verbs and hooks of Event. */
export interface EventType extends EntityType<Event, EventInput> {
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Event>
  /** After Event.Created. */
  created: AfterHook<Event>
}

/** The verbs and hooks of Metric. */
export interface MetricType extends EntityType<Metric, MetricInput> {
  /** Does Metric.Recorded. */
  record: Verb<Metric, MetricInput>
  /** Does Metric.Reset. After Metric.Reset. */
  reset: Verb<Metric, MetricInput> & AfterHook<Metric>
  /** Does Metric.Snapshotted. */
  snapshot: Verb<Metric, MetricInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Metric>
  /** After Metric.Created. */
  created: AfterHook<Metric>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Metric>
  /** After Metric.Updated. */
  updated: AfterHook<Metric>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Metric>
  /** After Metric.Deleted. */
  deleted: AfterHook<Metric>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Metric>
  /** After Metric.RolledBack. */
  rolledBack: AfterHook<Metric>
  /** Before record: may change the draft; a throw vetoes. */
  recording: BeforeHook<Metric>
  /** After Metric.Recorded. */
  recorded: AfterHook<Metric>
  /** Before reset: may change the draft; a throw vetoes. */
  resetting: BeforeHook<Metric>
  /** Before snapshot: may change the draft; a throw vetoes. */
  snapshotting: BeforeHook<Metric>
  /** After Metric.Snapshotted. */
  snapshotted: AfterHook<Metric>
}

/** The verbs and hooks of ApiKey. */
export interface ApiKeyType extends EntityType<ApiKey, ApiKeyInput> {
  /** Does ApiKey.Revoked. */
  revoke: Verb<ApiKey, ApiKeyInput>
  /** Does ApiKey.Rotated. */
  rotate: Verb<ApiKey, ApiKeyInput>
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<ApiKey>
  /** After ApiKey.Created. */
  created: AfterHook<ApiKey>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<ApiKey>
  /** After ApiKey.Updated. */
  updated: AfterHook<ApiKey>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<ApiKey>
  /** After ApiKey.Deleted. */
  deleted: AfterHook<ApiKey>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<ApiKey>
  /** After ApiKey.RolledBack. */
  rolledBack: AfterHook<ApiKey>
  /** Before revoke: may change the draft; a throw vetoes. */
  revoking: BeforeHook<ApiKey>
  /** After ApiKey.Revoked. */
  revoked: AfterHook<ApiKey>
  /** Before rotate: may change the draft; a throw vetoes. */
  rotating: BeforeHook<ApiKey>
  /** After ApiKey.Rotated. */
  rotated: AfterHook<ApiKey>
  /** After ApiKey.Used. */
  used: AfterHook<ApiKey>
}

/** The verbs and hooks of Alert. */
export interface AlertType extends EntityType<Alert, AlertInput> {
  /** Before create: may change the draft; a throw vetoes. */
  creating: BeforeHook<Alert>
  /** After Alert.Created. */
  created: AfterHook<Alert>
  /** Before update: may change the draft; a throw vetoes. */
  updating: BeforeHook<Alert>
  /** After Alert.Updated. */
  updated: AfterHook<Alert>
  /** Before delete: may change the draft; a throw vetoes. */
  deleting: BeforeHook<Alert>
  /** After Alert.Deleted. */
  deleted: AfterHook<Alert>
  /** Before rollback: may change the draft; a throw vetoes. */
  rollingBack: BeforeHook<Alert>
  /** After Alert.RolledBack. */
  rolledBack: AfterHook<Alert>
  /** After Alert.Triggered. */
  triggered: AfterHook<Alert>
  /** After Alert.Cleared. */
  cleared: AfterHook<Alert>
}

/** The types of the graph, with the verbs and hooks of each. */
export interface EntityTypes {
  Integration: IntegrationType
  Customer: CustomerType
  Product: ProductType
  Plan: PlanType
  Price: PriceType
  Subscription: SubscriptionType
  Invoice: InvoiceType
  Payment: PaymentType
  Project: ProjectType
  Issue: IssueType
  Comment: CommentType
  Contact: ContactType
  Campaign: CampaignType
  Deal: DealType
  Ticket: TicketType
  Agent: AgentType
  Handler: HandlerType
  Event: EventType
  Metric: MetricType
  ApiKey: ApiKeyType
  Alert: AlertType
}
