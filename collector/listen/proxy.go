package listen

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"
)

const (
	defaultHeaderWait = 5 * time.Second
	// maxWaiting bounds the connections whose header has not come yet.
	maxWaiting = 1024
)

// Proxied takes the client's address from the PROXY protocol header (v1 or v2)
// of connections that come from the given networks. Such a peer may also
// connect without a header, as health checks do. A header from any other peer
// is no header to us but bad HTTP. wait bounds how long a header may take; 0 is
// 5 seconds. Headers are read apart from the accept loop, so that a slow peer
// holds up nobody.
func Proxied(l net.Listener, from []netip.Prefix, wait time.Duration) net.Listener {
	if wait <= 0 {
		wait = defaultHeaderWait
	}
	p := &proxied{Listener: l, from: from, wait: wait, ready: make(chan accepted), closed: make(chan struct{}), waiting: make(chan struct{}, maxWaiting)}
	go p.accept()
	return p
}

type accepted struct {
	conn net.Conn
	err  error
}

type proxied struct {
	net.Listener
	from    []netip.Prefix
	wait    time.Duration
	ready   chan accepted
	waiting chan struct{}
	closing sync.Once
	closed  chan struct{}
}

// Accept implements net.Listener.
func (p *proxied) Accept() (net.Conn, error) {
	select {
	case a := <-p.ready:
		return a.conn, a.err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *proxied) Close() error {
	p.closing.Do(func() { close(p.closed) })
	return p.Listener.Close()
}

// accept passes connections on, those of proxies once their header is read.
func (p *proxied) accept() {
	for {
		conn, err := p.Listener.Accept()
		if err != nil {
			p.pass(accepted{err: err})
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		if !p.trusts(conn.RemoteAddr()) {
			p.pass(accepted{conn: conn})
			continue
		}
		select {
		case p.waiting <- struct{}{}:
			go p.header(conn)
		default:
			_ = conn.Close()
		}
	}
}

func (p *proxied) header(conn net.Conn) {
	c := proxyproto.NewConn(conn, proxyproto.WithPolicy(proxyproto.USE), proxyproto.SetReadHeaderTimeout(p.wait))
	_ = c.ProxyHeader() // reads it; a header that cannot be read fails the first Read
	<-p.waiting
	p.pass(accepted{conn: c})
}

func (p *proxied) pass(a accepted) {
	select {
	case p.ready <- a:
	case <-p.closed:
		if a.conn != nil {
			_ = a.conn.Close()
		}
	}
}

func (p *proxied) trusts(addr net.Addr) bool {
	a, ok := addr.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := a.AddrPort().Addr().Unmap()
	for _, n := range p.from {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}
