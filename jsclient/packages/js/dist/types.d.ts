/** Anything a caller may put into properties; what cannot be sent is left out. */
export type Properties = Record<string, unknown>;
/** Severity of an error or a message. */
export type Level = 'fatal' | 'error' | 'warning' | 'info' | 'debug';
/** Consent: one word for everything, or a word (or boolean) per category. */
export type ConsentState = 'granted' | 'denied' | 'wait';
export type ConsentChoice = ConsentState | Record<string, boolean | 'granted' | 'denied'>;
/** What can be captured without a call. `false` captures nothing. */
export type Auto = 'pageviews' | 'clicks' | 'forms' | 'errors' | 'vitals' | 'outbound' | 'downloads';
/** Every option is also an attribute of the script tag: `sentryDsn` is `data-sentry-dsn`. */
export interface Config {
    /** The tenant that the events belong to. */
    tenant: string;
    /** A public key (`hly_pk_…`), where the tenant demands one. */
    key?: string;
    /** Base address of the gateway; events go to `<endpoint>/e`. A script tag takes it from its own `src`. */
    endpoint?: string;
    /** What to capture by itself: all by default, a list (array or comma text), or `false`. */
    auto?: boolean | string | readonly Auto[];
    /** Count navigations inside the page: `true` by default, `'hash'` counts the fragment too. */
    spa?: boolean | string;
    /** Consent at the start; `'wait'` holds events in memory until `consent()` is called. */
    consent?: ConsentState;
    /** Store nothing in the browser; the gateway derives a daily visitor id. */
    cookieless?: boolean | string;
    /** The share of sessions to record, 0 to 1. */
    sample?: number | string;
    release?: string;
    environment?: string;
    /** Whose text is masked: `true` for every element, or a CSS selector. */
    mask?: boolean | string;
    /** Log what is captured to the console. */
    debug?: boolean | string;
    /** From the documented snippet; they count only where they equal the tenant's integration. */
    ga?: string;
    sentryDsn?: string;
    posthogKey?: string;
    /** Change an event before it is queued, or return null to drop it. */
    beforeSend?: (event: EventFields) => EventFields | null | undefined;
    /** Milliseconds that events may wait for company. 1000 by default. */
    flushInterval?: number | string;
}
/** One event as it goes over the wire. */
export interface EventFields {
    messageId?: string;
    type?: string;
    event?: string;
    ts?: number;
    anonymousId?: string;
    userId?: string;
    sessionId?: string;
    groupId?: string;
    previousId?: string;
    properties?: Properties;
    traits?: Properties;
    url?: string;
    path?: string;
    referrer?: string;
    title?: string;
    [key: string]: unknown;
}
/** One line of what happened before an error. */
export interface Breadcrumb {
    timestamp?: number;
    category?: string;
    type?: string;
    level?: Level;
    message?: string;
    data?: Properties;
}
/** One stack frame; lines and columns count from 1. */
export interface Frame {
    filename?: string;
    function?: string;
    lineno?: number;
    colno?: number;
    in_app?: boolean;
}
/** What `captureException` takes beside the error. */
export interface CaptureOptions {
    tags?: Record<string, string>;
    extra?: Properties;
    level?: Level;
}
/** Every call of `window.headlessly` and of the `Headlessly` class. None of them throws. */
export interface Api {
    init(config: Config): void;
    track(event: string, properties?: Properties): void;
    page(name?: string, properties?: Properties): void;
    identify(userId: string, traits?: Properties): void;
    group(groupId: string, traits?: Properties): void;
    alias(userId: string): void;
    captureException(error: unknown, options?: CaptureOptions): void;
    captureMessage(message: string, level?: Level): void;
    addBreadcrumb(crumb: Breadcrumb): void;
    setTag(name: string, value: string): void;
    setTags(tags: Record<string, string>): void;
    setUser(user: Properties | null): void;
    setContext(name: string, context: Properties | null): void;
    /** Properties to add to every later event, kept over pages. */
    register(properties: Properties): void;
    unregister(name: string): void;
    /** Start a clock; the next `track` of that name carries `durationMs`. */
    timeEvent(name: string): void;
    optIn(): void;
    optOut(): void;
    consent(choice: ConsentChoice): void;
    /** Forget the visitor: new ids, no user, no groups, no registered properties. */
    reset(): void;
    getDistinctId(): string;
    getSessionId(): string;
    /** Send what waits; resolves when the answers are in. */
    flush(): Promise<void>;
    /** Flush, then stop capturing. */
    shutdown(): Promise<void>;
    debug(on?: boolean): void;
    /** `event`: each event as queued. `ack`: ids that a 202 confirmed. `drop`: ids given up, and why. Returns a function that unsubscribes. */
    on(name: 'event', fn: (event: EventFields) => void): () => void;
    on(name: 'ack', fn: (messageIds: string[]) => void): () => void;
    on(name: 'drop', fn: (messageIds: string[], reason: string) => void): () => void;
}
