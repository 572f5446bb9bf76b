package collector

import (
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/headlessly/headlessly"
)

const (
	// refusalsPerCPU is how many refusals a second may leave for each processor:
	// at some 50 µs of processor time each, the system's share included, a twentieth
	// of what there is. A client that ignores Retry-After and sends again at once
	// would else spend all of it on being refused.
	refusalsPerCPU = 1_000
	// refusalBurst is for how long the rate may be saved up.
	refusalBurst = 250 * time.Millisecond
	// maxHold is how long a refusal is held back at most: clients must still be
	// there when it comes. They time out after 10 s and more.
	maxHold = 4 * time.Second

	// skipBytes is how much of an unread body the server skips for the next
	// request on the connection (fasthttp's own limit).
	skipBytes = 256 << 10
	// lingerBytes and lingerFor bound what is still read from a client that was
	// refused while it sends a large body: closing at once would reset the
	// connection, and the answer could be lost with it.
	lingerBytes = 1 << 20
	lingerFor   = 2 * time.Second
)

// pace spreads refusals over time. One that comes too early is held back; its
// connection, which costs what an idle one does, can send nothing meanwhile.
type pace struct {
	clock headlessly.Clock
	every time.Duration
	held  atomic.Int64

	mu   sync.Mutex
	next time.Time // when the next may leave

	ended chan struct{} // nobody is held back any more
	end   sync.Once
}

func newPace(clock headlessly.Clock) *pace {
	return &pace{clock: clock, every: time.Second / refusalsPerCPU / time.Duration(runtime.GOMAXPROCS(0)), ended: make(chan struct{})}
}

// wait gives how long the next refusal has to be held back.
func (p *pace) wait() time.Duration {
	now := p.clock()
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.next
	if earliest := now.Add(-refusalBurst); at.Before(earliest) {
		at = earliest
	}
	if latest := now.Add(maxHold); at.After(latest) {
		at = latest
	}
	p.next = at.Add(p.every)
	return max(0, at.Sub(now))
}

// hold returns when a refusal may leave.
func (p *pace) hold() {
	d := p.wait()
	if d == 0 {
		return
	}
	p.held.Add(1)
	defer p.held.Add(-1)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ended:
	}
}

// stop lets go everybody who is held back, now and later.
func (p *pace) stop() { p.end.Do(func() { close(p.ended) }) }

// comesAgain says whether a status asks the client to send the same again.
func comesAgain(status int) bool {
	switch status {
	case fasthttp.StatusTooManyRequests, fasthttp.StatusServiceUnavailable, fasthttp.StatusInsufficientStorage:
		return true
	}
	return false
}

// leaveUnread is for a request that is refused before its body is read. The
// server skips a small one, which is cheaper than a new connection. With a large
// one the connection ends behind the answer: ours first, and what the client
// sends until it has read the answer is thrown away.
func leaveUnread(ctx *fasthttp.RequestCtx) {
	if ctx.Request.Header.ContentLength() <= skipBytes {
		return
	}
	ctx.SetConnectionClose()
	// The server would close the connection right behind an answer that it writes.
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(c net.Conn) {
		_ = c.SetDeadline(headlessly.SystemClock().Add(lingerFor))
		if _, err := ctx.Response.WriteTo(c); err != nil {
			return
		}
		under := c
		if u, ok := c.(interface{ UnsafeConn() net.Conn }); ok {
			under = u.UnsafeConn()
		}
		if w, ok := under.(interface{ CloseWrite() error }); ok {
			_ = w.CloseWrite()
		}
		_, _ = io.CopyN(io.Discard, c, lingerBytes)
	})
}
