import type { Breadcrumb, CaptureOptions, ConsentChoice, Level, Properties } from './types.js';
export type * from './types.js';
/** How the server client is set up. */
export interface NodeConfig {
    tenant: string;
    /** Base address of the gateway, such as https://js.example.com. */
    endpoint: string;
    /** A public or secret key, sent as a bearer token. */
    key?: string;
    release?: string;
    environment?: string;
    /** Milliseconds that events may wait for company. 1000 by default. */
    flushInterval?: number;
    /** Flush on SIGTERM and SIGINT before the process ends. true by default. */
    handleSignals?: boolean;
    /** Change an event before it is queued, or return null to drop it. */
    beforeSend?: (event: Properties) => Properties | null | undefined;
    /** For tests: another fetch. */
    fetch?: typeof fetch;
}
/** Whom and when a call is about; a server has many visitors, so each call says it. */
export interface About {
    userId?: string;
    anonymousId?: string;
    sessionId?: string;
    groupId?: string;
    /** Milliseconds since 1970; now by default. */
    ts?: number;
    /** The id that makes a repeated call count once. */
    messageId?: string;
    url?: string;
}
/**
 * The client for servers: the same calls as in the browser, with a last
 * argument that says whom it is about. It batches, repeats what failed under the
 * same ids, and delivers what waits on shutdown. No call throws or blocks.
 */
export declare class Headlessly {
    private config;
    private queue;
    private timer;
    private sending;
    private failures;
    private pausedUntil;
    private closed;
    /** Nothing is waited for any more. */
    private ended;
    private request;
    /** The batch under way. */
    private flying;
    private wake;
    private superProperties;
    private scope;
    private clocks;
    private choice;
    private silent;
    private talks;
    private listeners;
    private stopListening;
    constructor(config: NodeConfig);
    track(event: string, properties?: Properties, about?: About): void;
    page(name?: string, properties?: Properties, about?: About): void;
    identify(userId: string, traits?: Properties, about?: About): void;
    group(groupId: string, traits?: Properties, about?: About): void;
    alias(userId: string, about: About & {
        previousId: string;
    }): void;
    captureException(error: unknown, options?: CaptureOptions, about?: About): void;
    captureMessage(message: string, level?: Level, about?: About): void;
    /** Note what happened before an error, in this process. */
    addBreadcrumb(crumb: Breadcrumb): void;
    setUser(user: Properties | null): void;
    setTag(name: string, value: string): void;
    setTags(tags: Record<string, string>): void;
    setContext(name: string, context: Properties | null): void;
    /** Properties to add to every later event. */
    register(properties: Properties): void;
    unregister(name: string): void;
    /** Start a clock; the next `track` of that name carries `durationMs`. */
    timeEvent(name: string): void;
    /** Take no events until `optIn`. */
    optOut(): void;
    optIn(): void;
    /** What the visitors of this process agreed to, said with every batch; a plain 'denied' or 'wait' takes no events. */
    consent(choice: ConsentChoice): void;
    /** Forget tags, user, contexts, breadcrumbs, registered properties and clocks. */
    reset(): void;
    /** Say on standard error what is taken, acknowledged and given up. */
    debug(on?: boolean): void;
    /** `event`: each event as queued. `ack`: ids that a 202 confirmed. `drop`: ids given up, and why. Returns a function that unsubscribes. */
    on(name: 'event', fn: (event: Properties) => void): () => void;
    on(name: 'ack', fn: (messageIds: string[]) => void): () => void;
    on(name: 'drop', fn: (messageIds: string[], reason: string) => void): () => void;
    /** Resolves when everything that waits now has its answer. */
    flush(): Promise<void>;
    /** Takes no more events, and waits up to ms for the answers. Events that are left then are told as dropped. */
    shutdown(ms?: number): Promise<void>;
    private emit;
    /** Sends batch after batch until nothing waits. */
    private work;
    /** Waits, but not beyond a shutdown's first try. */
    private pause;
    private take;
    /** Seconds to wait at least before this batch is sent again; undefined when it is done with. */
    private send;
    private report;
}
