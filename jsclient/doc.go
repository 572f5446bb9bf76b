// Package jsclient holds the browser script, built and embedded.
//
// [Variants] gives every file that a collector serves, [For] the smallest one
// that does what a script tag asks for:
//
//	v := jsclient.For(ctx.QueryArgs().All())
//	// v.JS is the file, v.Hash names its immutable twin, v.Integrity is its SRI value
//
// and [Stub] is the snippet for pages that call headlessly before the script
// has arrived. The package is content only: routes, compression and headers are
// the collector's.
//
// # What the script needs from the server
//
//   - The script takes its settings from the attributes of its tag and from the
//     query of its own address (?auto=pageviews is data-auto="pageviews"), and
//     posts to <base>/e?t=<tenant>[&key=<public key>], where base is its own
//     address without /v1, /v1.js or /v1/<hash>.js.
//   - Bodies are text/plain, so that no preflight happens:
//     {"tenant":…,"sentAt":…,"context":{…},"events":[…]}. The context counts
//     for every event of the batch. A large one is gzip without a content type
//     and, for the same reason, without a Content-Encoding: the server looks at
//     its first bytes. Where neither fetch nor a beacon passes, the same body
//     with one event comes as GET <base>/e.gif?…&d=<body>.
//   - 202 is final, its "rejected" list too. 408, 429 and 5xx are repeated with
//     the same ids after Retry-After (which the answer must expose to other
//     origins: Access-Control-Expose-Headers) or a growing, jittered pause. Any
//     other status gives the batch up.
//
// # Sources
//
// The TypeScript is in src, one job a file: api.ts is the place to start,
// full.ts lists what captures, emit.ts takes an event, queue.ts delivers it.
// go generate ./jsclient rebuilds dist and the modules of the npm packages
// (packages/js, packages/node; no npm needed); a test checks that the committed
// files are what the sources give. npm ci && npm run check in this folder, the
// root of an npm workspace, runs the type checker, the linter and the unit
// tests; npm run types rewrites the packages' declarations; npm run browsers
// runs the script in Chromium, Firefox and WebKit against the gateway's tables.
package jsclient
