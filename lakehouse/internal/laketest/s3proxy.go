package laketest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"
)

// Trouble is what a [Proxy] does to a request.
type Trouble int

// Troubles.
const (
	None             Trouble = iota
	SlowDown                 // 503 before the store hears of it
	Reset                    // the connection is cut before the store hears of it
	FailsAfterEffect         // the store has done it, and the answer is 500
	ResetAfterEffect         // the store has done it, and the connection is cut
	ShortRead                // half of the answer's body, then the connection is cut
)

// Proxy stands before an object store, counts what it answers and makes
// trouble. Signatures hold: it leaves the requests as they are.
type Proxy struct {
	store string
	// Trouble is asked for each request; nil for none. It may be changed
	// between requests.
	trouble func(r *http.Request) Trouble
	client  http.Client

	mu     sync.Mutex
	bytes  map[string]int64 // answered, by method and path
	faults int
}

// StartProxy runs a proxy before an object store.
func StartProxy(t testing.TB, store string) (*Proxy, string) {
	t.Helper()
	p := &Proxy{store: store, bytes: map[string]int64{}}
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	return p, s.URL
}

// Disturb sets what happens to requests from now on.
func (p *Proxy) Disturb(trouble func(r *http.Request) Trouble) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = trouble
}

// Faults is how many requests were disturbed.
func (p *Proxy) Faults() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}

// Bytes is how much was answered to requests whose method and path match.
func (p *Proxy) Bytes(match func(method, path string) bool) (n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, b := range p.bytes {
		for i := range key {
			if key[i] == ' ' && match(key[:i], key[i+1:]) {
				n += b
			}
		}
	}
	return n
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	trouble := None
	if p.trouble != nil {
		trouble = p.trouble(r)
	}
	if trouble != None {
		p.faults++
	}
	p.mu.Unlock()
	switch trouble {
	case SlowDown:
		_, _ = io.Copy(io.Discard, r.Body)
		answerFault(w, http.StatusServiceUnavailable, "SlowDown")
		return
	case Reset:
		panic(http.ErrAbortHandler)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	target, err := url.Parse(p.store)
	if err != nil {
		panic(err)
	}
	target.Path, target.RawPath, target.RawQuery = r.URL.Path, r.URL.RawPath, r.URL.RawQuery
	out, err := http.NewRequestWithContext(r.Context(), r.Method, target.String(), bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	out.Header, out.Host = r.Header.Clone(), r.Host
	if _, ok := r.Header["Accept-Encoding"]; !ok {
		out.Header.Set("Accept-Encoding", "identity")
	}
	res, err := p.client.Do(out) //nolint:gosec // to the store that the test named
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer res.Body.Close() //nolint:errcheck // read whole
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	switch trouble {
	case FailsAfterEffect:
		answerFault(w, http.StatusInternalServerError, "InternalError")
		return
	case ResetAfterEffect:
		panic(http.ErrAbortHandler)
	}
	for k, v := range res.Header {
		w.Header()[k] = v
	}
	if r.Method != http.MethodHead {
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	}
	w.WriteHeader(res.StatusCode)
	if trouble == ShortRead {
		_, _ = w.Write(answer[:len(answer)/2])
		panic(http.ErrAbortHandler)
	}
	n, _ := w.Write(answer)
	p.mu.Lock()
	p.bytes[r.Method+" "+r.URL.Path] += int64(n)
	p.mu.Unlock()
}

func answerFault(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>"+code+"</Code><Message>try again</Message></Error>")
}
