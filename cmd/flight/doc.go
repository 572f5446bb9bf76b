// Package flight is the gateway's Arrow Flight SQL server: ADBC and JDBC tools
// ask a tenant's tables SQL and get Arrow batches, as they come.
//
// [New] makes a [Server]; [Server.Serve] takes connections until [Server.Close].
//
// The caller shows a secret key as a bearer token, or as the password of basic
// authentication, with every call. A key's tenant is its own; an admin key names
// one in the header "x-headlessly-tenant", or asks over all of them. Nothing is
// kept between calls: a ticket holds the query's text and its parameters, and
// whoever brings it is asked for a key again.
//
// Each call is a request of the key's minute, as in REST, and so is each further
// execution of a prepared statement: one with many rows of parameters is asked
// once for each, and its answers follow each other. An answer that is cut at the
// engine's limits ends in an error.
//
// It has no transactions, updates or uploads. Without Config.TLS listen on
// loopback, or put a proxy before it.
package flight
