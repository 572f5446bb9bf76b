package collector_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector"
)

// memoryLog keeps what was appended; err makes it fail.
type memoryLog struct {
	mu      sync.Mutex
	records []headlessly.Record
	err     error
}

func (l *memoryLog) Append(_ context.Context, records ...headlessly.Record) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	first := headlessly.LogSeq(1, len(l.records))
	for _, r := range records {
		l.records = append(l.records, headlessly.Record{Kind: r.Kind, Data: bytes.Clone(r.Data)})
	}
	return first, nil
}

func (l *memoryLog) events(t testing.TB) []headlessly.Event {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []headlessly.Event
	for _, r := range l.records {
		if r.Kind != headlessly.RecordEvent {
			continue
		}
		var e headlessly.Event
		if err := e.UnmarshalBinary(r.Data); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func (l *memoryLog) rejected(t testing.TB) []headlessly.Rejected {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []headlessly.Rejected
	for _, r := range l.records {
		if r.Kind != headlessly.RecordRejected {
			continue
		}
		var e headlessly.Rejected
		if err := e.UnmarshalBinary(r.Data); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// directory is a fixed set of tenants and keys.
type directory struct {
	policies map[string]collector.Policy
	keys     map[string]headlessly.Key
}

func (d directory) Policy(tenant string) (collector.Policy, bool) {
	p, ok := d.policies[tenant]
	return p, ok
}

func (d directory) Authenticate(key string) (headlessly.Key, bool) {
	k, ok := d.keys[key]
	return k, ok
}

const (
	publicKey = "hly_pk_acme"
	secretKey = "hly_sk_acme"
	adminKey  = "hly_admin_all"
	otherKey  = "hly_pk_other"
)

func testDirectory() directory {
	return directory{
		policies: map[string]collector.Policy{
			"acme": {}, "other": {}, "strict": {RequireKey: true}, "listed": {Origins: []string{"https://shop.example"}}, "keeper": {KeepIP: true},
		},
		keys: map[string]headlessly.Key{
			publicKey: {ID: "apikey_1", Kind: headlessly.KeyPublic, Tenant: "acme"},
			secretKey: {ID: "apikey_2", Kind: headlessly.KeySecret, Tenant: "acme"},
			adminKey:  {ID: "apikey_3", Kind: headlessly.KeyAdmin},
			otherKey:  {ID: "apikey_4", Kind: headlessly.KeyPublic, Tenant: "other"},
		},
	}
}

var testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// gateway is a running collector over an in-memory listener.
type gateway struct {
	log    *memoryLog
	client *http.Client
	dial   func() (net.Conn, error)
	c      *collector.Collector
}

func start(t testing.TB, change ...func(*collector.Config)) *gateway {
	t.Helper()
	g := &gateway{log: &memoryLog{}}
	cfg := collector.Default()
	cfg.Log, cfg.Directory = g.log, testDirectory()
	cfg.Script = []byte("(function(){/* the script */})()")
	cfg.Ready = func() error { return nil }
	cfg.Clock = func() time.Time { return testTime }
	cfg.Logger = slog.New(slog.DiscardHandler)
	for _, f := range change {
		f(&cfg)
	}
	c, err := collector.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g.c = c
	l := fasthttputil.NewInmemoryListener()
	g.dial = l.Dial
	done := make(chan error, 1)
	go func() { done <- c.Serve(l) }()
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return l.Dial() }, DisableCompression: true}
	g.client = &http.Client{Transport: tr, Timeout: 2 * time.Minute}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		_ = l.Close()
		<-done
	})
	return g
}

// realClock is for tests with clients that read one of their own.
func realClock(c *collector.Config) { c.Clock = headlessly.SystemClock }

type reply struct {
	Error    string `json:"error"`
	Message  string `json:"message"`
	Field    string `json:"field"`
	Accepted int    `json:"accepted"`
	Rejected []struct {
		Index   int    `json:"index"`
		Error   string `json:"error"`
		Field   string `json:"field"`
		Message string `json:"message"`
	} `json:"rejected"`
	ID      string `json:"id"`
	Success bool   `json:"success"`
}

// post sends a body and reads the answer, which is always JSON.
func (g *gateway) post(t testing.TB, path string, body []byte, headers ...string) (*http.Response, reply) {
	t.Helper()
	return g.do(t, http.MethodPost, path, body, headers...)
}

func (g *gateway) do(t testing.TB, method, path string, body []byte, headers ...string) (*http.Response, reply) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, "http://gateway"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	res, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var r reply
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatalf("answer %q is not JSON: %v", raw, err)
		}
	}
	return res, r
}
