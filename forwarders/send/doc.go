// Package send makes one HTTP request for a destination and tells from how it
// went what the router may do next.
//
// [Do] sends and reads the answer; [Error] turns the answer, or its absence,
// into the error types that the router decides by:
//
//	2xx                              nil
//	408, 425, 429, 5xx               *headlessly.Temporary, with Retry-After
//	3xx, other 4xx                   *headlessly.Permanent
//	no connection, TLS fault         *headlessly.Temporary: nothing was sent
//	refused by the egress guard      *headlessly.Permanent
//	answer lost after sending        *headlessly.Unknown
//
// Errors never hold the URL, for it may hold a credential, and excerpts of
// answers are cut and cleaned of the secrets they are given.
package send
