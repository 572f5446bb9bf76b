// Package tunnel passes the requests of other vendors' browser SDKs on to the
// provider of the tenant that they belong to.
//
//	t := tunnel.New(tunnel.Config{Tenants: store.Tenants, Destinations: store, AllowPrivate: false})
//	route, err := t.Find(&claim)
//	answer, err := route.Pass(ctx, &request)
//
// It is no open relay: a route leads to what a tenant has configured, and only
// where every key in the request is that tenant's. Addresses are checked as for
// everything that leaves (package egress), redirects are not followed, cookies
// are not passed on, answers and waiting requests are bounded. It never
// retries: the SDK does, or not, as it would without us.
package tunnel
