package github_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/connectortest"
	"github.com/headlessly/headlessly/connectors/github"
	"github.com/headlessly/headlessly/connectors/github/githubtest"
	"github.com/headlessly/headlessly/connectors/graph"
)

// letterbox keeps what GitHub sends.
type letterbox struct {
	mu    sync.Mutex
	inbox []headlessly.Receipt
}

func (b *letterbox) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	in := headlessly.Receipt{Provider: "github", Body: body}
	for name := range r.Header {
		in.Headers += strings.ToLower(name) + ": " + r.Header.Get(name) + "\n"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inbox = append(b.inbox, in)
}

func (b *letterbox) take(clock *connectortest.Clock, id string) []headlessly.Receipt {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.inbox
	b.inbox = nil
	for i := range out {
		out[i].Tenant, out[i].Integration, out[i].ReceivedAt = connectortest.Tenant, id, clock.Now().UnixMicro()
	}
	return out
}

func TestConformance(t *testing.T) {
	connectortest.Run(t, func(t testing.TB, clock *connectortest.Clock) *connectortest.Subject {
		t.Helper()
		hub, box := githubtest.New(clock.Now), &letterbox{}
		server, door := httptest.NewServer(hub), httptest.NewServer(box)
		t.Cleanup(server.Close)
		t.Cleanup(door.Close)
		repo := hub.AddRepo("acme", "shop")
		set := func(f func(f *githubtest.Faults)) { hub.Set(f) }
		count := func(of func() int) (n int) { hub.View(func([]*githubtest.Repo) { n = of() }); return n }
		seed := func(n int) (string, int64) {
			hub.Change(func(c *githubtest.Changing) {
				for range n {
					c.Open(repo, &githubtest.Issue{Title: "an issue", User: "ada"})
				}
			})
			return "Issue", int64(count(func() int { return len(repo.Issues) }))
		}
		seed(1)
		args := func(token string) fields {
			return fields{"provider": "github", "token": token, "repos": []any{"acme/shop"}, "apiBaseUrl": server.URL}
		}
		const sendsNothing = "it posts no events: what goes out are mutations"
		return &connectortest.Subject{
			Registry: connectors.Registry{github.New()}, Provider: "github", PublicURL: door.URL,
			Args: args(githubtest.Token), Rotated: args(githubtest.Token2), Wrong: args("ghp_wrong_token_0123456789"),
			Secrets: []string{githubtest.Token, githubtest.Token2},
			Without: map[connectortest.Case]string{connectortest.Sends: sendsNothing, connectortest.SendsLater: sendsNothing, connectortest.SendsSlowly: sendsNothing},
			Seed:    seed,
			Down: func(down bool) {
				set(func(f *githubtest.Faults) {
					if f.Failing = 0; down {
						f.Failing = 1 << 30
					}
				})
			},
			Limit: func(bool) { set(func(f *githubtest.Faults) { f.Secondary, f.Throttled = 2, 2 }) },
			Cut: func(answers int) func() int {
				set(func(f *githubtest.Faults) { f.Cut = answers })
				return func() (left int) { set(func(f *githubtest.Faults) { left = f.Cut }); return left }
			},
			Revoke: func() { hub.Revoke(githubtest.Token) },
			Odd: func() {
				hub.Change(func(c *githubtest.Changing) { c.Open(repo, &githubtest.Issue{Odd: true, User: "ada"}) })
			},
			Hooks: func() int { return count(func() int { return len(repo.Hooks) }) },
			Change: func() {
				hub.Change(func(c *githubtest.Changing) {
					i := repo.Issues[0]
					i.State, i.Reason = "closed", "completed"
					c.Touch(repo, i, "closed")
				})
			},
			Shows: func(g *graph.Scope) bool {
				n, err := g.Count(context.Background(), "Issue", fields{"githubNumber": 1, "status": "Done"}, graph.AsOf{})
				return err == nil && n == 1
			},
			Receipts: func(id string) []headlessly.Receipt { return box.take(clock, id) },
			Create: func(ctx context.Context, g *graph.Scope) error {
				page, err := g.Find(ctx, graph.Query{Type: "Project", Limit: 1})
				if err != nil {
					return err
				}
				_, err = g.Create(ctx, "Issue", fields{"title": "made here", "project": page.Results[0].ID})
				return err
			},
			Made: func() int { return count(func() int { return len(repo.Issues) }) },
		}
	})
}
