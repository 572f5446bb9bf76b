package hooks_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/graph/graphtest"
	"github.com/headlessly/headlessly/connectors/hooks"
)

type fields = map[string]any

// keys are those that the test's gateway knows; they can be revoked.
type keys struct {
	mu   sync.Mutex
	gone map[string]bool
}

func (k *keys) revoke(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone[key] = true
}

func (k *keys) authenticate(tenant, key string) (hooks.Caller, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case key == "hly_sk_reads" && tenant == "acme":
	case k.gone[key] || key != "hly_sk_acme" && key != "hly_sk_other" && key != "hly_pk_acme":
		return hooks.Caller{}, &graph.Error{Code: graph.CodeUnauthorized, Message: "the key is unknown or revoked"}
	case key == "hly_pk_acme" || key != "hly_sk_"+tenant && (tenant == "acme" || tenant == "other"):
		return hooks.Caller{}, &graph.Error{Code: graph.CodeForbidden, Message: "the key may not do this"}
	case tenant != "acme" && tenant != "other":
		return hooks.Caller{}, &graph.Error{Code: graph.CodeNotFound, Message: "there is no such tenant"}
	}
	return hooks.Caller{Actor: "apikey_" + tenant, May: func(write bool, typ string) bool { return key != "hly_sk_reads" || !write && typ == "Deal" }}, nil
}

// gateway serves hooks of one store.
type gateway struct {
	store *graph.Store
	hooks *hooks.Server
	keys  *keys
	url   string
}

// serve looks after its clients seldom: a test's client answers only while the
// test reads.
func serve(t testing.TB, store *graph.Store) *gateway {
	t.Helper()
	return serveLooking(t, store, time.Minute)
}

func serveLooking(t testing.TB, store *graph.Store, every time.Duration) *gateway {
	t.Helper()
	g := &gateway{store: store, keys: &keys{gone: map[string]bool{}}}
	g.hooks = hooks.New(hooks.Config{Store: store, Authenticate: g.keys.authenticate, PingEvery: every, HelloWithin: time.Minute})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tenant, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/~"), "/hooks")
		if rest = strings.TrimPrefix(rest, "/"); rest == "ws" {
			g.hooks.WebSocket(w, r, tenant)
			return
		}
		g.hooks.REST(w, r, tenant, rest)
	}))
	t.Cleanup(func() { g.hooks.Close(); srv.Close() })
	g.url = srv.URL
	return g
}

func quick(c *graph.Config) {
	c.HookPause, c.HookAttempts, c.LeaseFor = time.Millisecond, 3, 400*time.Millisecond
}

func start(t testing.TB) *gateway {
	t.Helper()
	return serve(t, graphtest.Start(t).Open(t, quick))
}

// message is any message of the server.
type message struct {
	Type, ID, CallID, Hook, Name, Phase, Verb, Actor, Error, Message, Field, Cause, EventID string
	Seq                                                                                     uint64
	Attempt                                                                                 int
	DeadlineMs                                                                              int64
	Entity, Current                                                                         fields
	Args                                                                                    fields
	Event                                                                                   struct {
		ID, Type, Target string
		Version          int
		Seq              uint64
	}
}

// client speaks the protocol over a real WebSocket.
type client struct {
	t  testing.TB
	ws *websocket.Conn
}

func dial(t testing.TB, g *gateway, tenant string, header http.Header) (*client, *http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ws, res, err := websocket.Dial(ctx, g.url+"/~"+tenant+"/hooks/ws", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		return nil, res, err
	}
	ws.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{t, ws}, res, nil
}

// connect dials and says hello as acme.
func connect(t testing.TB, g *gateway, name string) *client {
	t.Helper()
	c, _, err := dial(t, g, "acme", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.send(fields{"type": "hello", "version": 1, "key": "hly_sk_acme", "client": name})
	if m := c.next(); m.Type != "welcome" || m.Actor != "apikey_acme" {
		t.Fatalf("got %+v", m)
	}
	return c
}

func (c *client) send(v any) {
	c.t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, raw); err != nil {
		c.t.Errorf("send %s: %v", raw, err)
	}
}

// read gives the next message, or how the connection ended.
func (c *client) read() (message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var m message
	_, raw, err := c.ws.Read(ctx)
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	return m, err
}

func (c *client) next() message {
	c.t.Helper()
	m, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// register registers a hook and waits for its confirmation.
func (c *client) register(v fields) message {
	c.t.Helper()
	v["type"] = "register"
	c.send(v)
	m := c.next()
	if m.Type != "registered" || m.ID != v["id"] {
		c.t.Fatalf("register %v: got %+v", v, m)
	}
	return m
}

// answer runs f with every before call until the connection ends.
func (c *client) answer(f func(m message) fields) {
	go func() {
		for {
			m, err := c.read()
			if err != nil {
				return
			}
			if m.Type != "before" {
				continue
			}
			if a := f(m); a != nil {
				a["type"], a["callId"] = "answer", m.CallID
				c.send(a)
			}
		}
	}()
}

// closed reads until the connection ends and gives the close code.
func (c *client) closed() websocket.StatusCode {
	c.t.Helper()
	for {
		if _, err := c.read(); err != nil {
			var e websocket.CloseError
			if !errors.As(err, &e) {
				c.t.Fatalf("got %v, want a close frame", err)
			}
			return e.Code
		}
	}
}

func wantCode(t testing.TB, what string, err error, code graph.Code, part string) {
	t.Helper()
	if graph.CodeOf(err) != code || err != nil && !strings.Contains(err.Error(), part) {
		t.Errorf("%s: got %v, want %s with %q", what, err, code, part)
	}
}
