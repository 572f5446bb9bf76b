package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/connectortest"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/outbox/outboxtest"
	"github.com/headlessly/headlessly/connectors/webhook"
	"github.com/headlessly/headlessly/connectors/webhook/signature"
)

const (
	secret2 = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	shared  = "whsec_dGhleSBzaGFyZSB0aGlzIG9uZSB3aXRoIHVz" // what the other side signs with
)

// peer is a tenant's server that takes events and sends requests.
type peer struct {
	clock *connectortest.Clock

	mu          sync.Mutex
	down, limit bool
	revoked     bool // it takes the second secret only
	requests    int
	seen        map[string]int
	outgoing    []string // bodies
}

func (p *peer) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	accepted := signature.Verify(secret2, r.Header, body, p.clock.Now()) == nil || !p.revoked && signature.Verify(secret, r.Header, body, p.clock.Now()) == nil
	switch {
	case p.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case p.limit && p.requests%2 == 0:
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusTooManyRequests)
	case !accepted:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		p.seen[r.Header.Get("Webhook-Id")]++
	}
}

func (p *peer) sent() (events, again int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.seen {
		again += n - 1
	}
	return len(p.seen), again
}

// take gives what the server sends, signed.
func (p *peer) take(t testing.TB, id string) (out []headlessly.Receipt) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for n, body := range p.outgoing {
		h := http.Header{}
		if err := signature.Sign(h, fmt.Sprintf("msg_%d_%d", p.clock.Now().Unix(), n), p.clock.Now(), []byte(body), shared); err != nil {
			t.Fatal(err)
		}
		r := headlessly.Receipt{Tenant: connectortest.Tenant, Provider: "webhook", Integration: id, ReceivedAt: p.clock.Now().UnixMicro(), Body: []byte(body)}
		for name := range h {
			r.Headers += strings.ToLower(name) + ": " + h.Get(name) + "\n"
		}
		out = append(out, r)
	}
	p.outgoing = nil
	return out
}

func TestConformance(t *testing.T) {
	connectortest.Run(t, func(t testing.TB, clock *connectortest.Clock) *connectortest.Subject {
		t.Helper()
		p := &peer{clock: clock, seen: map[string]int{}}
		server := httptest.NewServer(p)
		t.Cleanup(server.Close)
		args := func(secret string) fields {
			return fields{
				"provider": "webhook", "slug": "erp", "url": server.URL + "/hook", "events": []any{"Deal.*"}, "secret": secret, "webhookSecret": shared,
				"inbound": fields{"verify": "standard", "entity": fields{"type": "Contact", "key": "email", "id": "body.email", "fields": fields{"name": "body.name"}}},
			}
		}
		made := 0
		const noAPI = "a tenant's own server has no API to read from or to write to: it gets events, and sends requests"
		s := &connectortest.Subject{
			Build: func(t testing.TB, b *connectortest.Bench) (connectors.Registry, func()) {
				t.Helper()
				box, stop := outboxtest.Open(t, b.Graph, b.Dir, clock.Now, clock.After)
				return connectors.Registry{webhook.New(box, open)}, stop
			},
			Provider: "webhook", Args: args(secret), Rotated: args(secret2), Secrets: []string{secret, secret2, shared},
			Without: map[connectortest.Case]string{
				connectortest.Refused: "connecting asks nobody: whether the server takes the secret shows with the first event, or with a test",
			},
			Down:   func(down bool) { p.set(func() { p.down = down }) },
			Limit:  func(on bool) { p.set(func() { p.limit = on }) },
			Revoke: func() { p.set(func() { p.revoked = true }) },
			Change: func() {
				body, err := json.Marshal(fields{"email": "ada@example.com", "name": "Ada of the webhook"})
				if err != nil {
					t.Fatal(err)
				}
				p.set(func() { p.outgoing = append(p.outgoing, string(body)) })
			},
			Shows: func(g *graph.Scope) bool {
				n, err := g.Count(context.Background(), "Contact", fields{"email": "ada@example.com", "name": "Ada of the webhook"}, graph.AsOf{})
				return err == nil && n == 1
			},
			Receipts: func(id string) []headlessly.Receipt { return p.take(t, id) },
			Emit: func(ctx context.Context, g *graph.Scope) error {
				made++
				_, err := g.Create(ctx, "Deal", fields{"name": fmt.Sprint("deal ", made), "stage": "Open"})
				return err
			},
			Sent: p.sent,
		}
		for _, c := range []connectortest.Case{
			connectortest.Resumes, connectortest.Limited, connectortest.CutShort, connectortest.OddObject, connectortest.Lost, connectortest.Outbound, connectortest.OutboundDown,
		} {
			s.Without[c] = noAPI
		}
		return s
	})
}
