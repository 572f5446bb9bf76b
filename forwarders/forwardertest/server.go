package forwardertest

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
)

// call is one request that a test server saw.
type call struct {
	path, query string
	header      http.Header
	body        []byte // decompressed
}

// text is everything in which an event may show.
func (c call) text() string {
	query, err := url.QueryUnescape(c.query)
	if err != nil {
		query = c.query
	}
	return c.path + "?" + query + "\n" + string(c.body)
}

// server is a provider whose every answer a test decides.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	calls []call
}

// serve starts a server that notes each request and lets answer have it.
func serve(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, body []byte)) *server {
	t.Helper()
	s := new(server)
	s.Server = httptest.NewServer(s.handler(answer))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *server) handler(answer func(w http.ResponseWriter, r *http.Request, body []byte)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if r.Header.Get("Content-Encoding") == "gzip" {
			if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
				body, _ = io.ReadAll(z)
			}
		}
		s.mu.Lock()
		s.calls = append(s.calls, call{r.URL.Path, r.URL.RawQuery, r.Header.Clone(), body})
		s.mu.Unlock()
		answer(w, r, body)
	})
}

func (s *server) seen() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]call(nil), s.calls...)
}

// hangUp cuts the connection without an answer.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = conn.Close()
}
