// Package listen prepares the public listener: TLS by certificate files or by
// ACME, and the PROXY protocol of load balancers.
//
//	l = listen.Proxied(l, prefixes, 0)   // addresses of clients behind balancers
//	conf, err := listen.Files(cert, key) // or listen.ACME
//	l = tls.NewListener(l, conf)         // TLS goes outermost
//
// Certificate files are read again when they change. The server behind speaks
// HTTP/1.1, so no other protocol is offered. Nothing here opens a port.
package listen
