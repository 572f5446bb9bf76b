package sentry

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/headlessly/headlessly/forwarders/send"
)

// limits keeps until when each category of one project is rate limited. The
// empty category stands for all.
type limits struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// read takes the limits from an answer's headers.
func (l *limits) read(status int, h http.Header, now time.Time) {
	text := h.Get("X-Sentry-Rate-Limits")
	if text == "" {
		if status == http.StatusTooManyRequests {
			wait := send.RetryAfter(h, now)
			if wait == 0 {
				wait = time.Minute
			}
			l.set("", now.Add(wait))
		}
		return
	}
	for quota := range strings.SplitSeq(text, ",") {
		parts := strings.Split(strings.ReplaceAll(quota, " ", ""), ":")
		seconds, err := strconv.ParseFloat(parts[0], 64)
		if err != nil || !(seconds > 0) {
			seconds = 60
		}
		until := now.Add(time.Duration(min(seconds, 7*24*3600) * float64(time.Second)))
		if len(parts) < 2 || parts[1] == "" {
			l.set("", until)
			continue
		}
		for category := range strings.SplitSeq(parts[1], ";") {
			l.set(category, until)
		}
	}
}

func (l *limits) set(category string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == nil {
		l.until = map[string]time.Time{}
	}
	if len(l.until) < 64 && until.After(l.until[category]) { // a server cannot fill our memory
		l.until[category] = until
	}
}

// wait is how long a category is still limited, 0 for not.
func (l *limits) wait(category string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, l.until[""].Sub(now), l.until[category].Sub(now))
}
