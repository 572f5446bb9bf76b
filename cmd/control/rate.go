package control

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
)

// rateWindow is the time in which a key's requests are counted.
const rateWindow = time.Minute

// rates counts each key's requests in fixed windows. Only keys that exist get
// here, so it does not grow with what strangers send.
type rates struct {
	limit int
	clock headlessly.Clock
	mu    sync.Mutex
	keys  map[string]*window
}

type window struct {
	ends time.Time
	used int
}

// take counts a request and says how many are left, and when the window ends.
func (l *rates) take(key string) (left int, ends time.Time) {
	now := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.keys[key]
	if w == nil {
		w = &window{}
		l.keys[key] = w
	}
	if !now.Before(w.ends) {
		w.ends, w.used = now.Add(rateWindow), 0
	}
	w.used++
	return l.limit - w.used, w.ends
}

// allowed tells the caller its limits, and refuses what goes beyond them.
func (l *rates) allowed(w http.ResponseWriter, key string) bool {
	left, ends := l.take(key)
	h := w.Header()
	h.Set("X-RateLimit-Limit", strconv.Itoa(l.limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(max(left, 0)))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(ends.Unix()+1, 10)) // not before it ends
	if left >= 0 {
		return true
	}
	refusal := l.refusal(ends)
	h.Set("Retry-After", strconv.Itoa(int(refusal.RetryAfter.Seconds())))
	writeError(w, refusal.Status(), string(refusal.Code), "", refusal.Message)
	return false
}

// refusal is what a caller beyond its limit is told.
func (l *rates) refusal(ends time.Time) *graph.Error {
	wait := max(1, int(ends.Sub(l.clock()).Seconds())+1)
	return &graph.Error{
		Code: graph.CodeRateLimited, RetryAfter: time.Duration(wait) * time.Second,
		Message: "this key has made " + strconv.Itoa(l.limit) + " requests within a minute; wait " + strconv.Itoa(wait) + " seconds, or send many operations as one batch",
	}
}
