package github_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/connectortest"
	"github.com/headlessly/headlessly/connectors/github"
	"github.com/headlessly/headlessly/connectors/github/githubtest"
	"github.com/headlessly/headlessly/connectors/graph"
)

type fields = map[string]any

// rig is a gateway's lifecycle beside a GitHub.
type rig struct {
	*connectortest.Bench
	t    testing.TB
	hub  *githubtest.GitHub
	url  string
	repo *githubtest.Repo
	id   string
}

func start(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t}
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.receive(w, req) }))
	t.Cleanup(door.Close)
	clock := connectortest.NewClock()
	r.hub = githubtest.New(clock.Now)
	hub := httptest.NewServer(r.hub)
	t.Cleanup(hub.Close)
	r.url = hub.URL
	r.Bench = connectortest.Start(t, connectortest.Options{Registry: connectors.Registry{github.New()}, PublicURL: door.URL})
	r.repo = r.hub.AddRepo("acme", "shop")
	// Both sides have one clock.
	r.hub.SetClock(r.Clock.Now)
	return r
}

// receive is the gateway's inbound address.
func (r *rig) receive(w http.ResponseWriter, req *http.Request) {
	parts := strings.Split(req.URL.Path, "/") // /~acme/in/github/id
	body, _ := io.ReadAll(req.Body)
	in := headlessly.Receipt{Tenant: strings.TrimPrefix(parts[1], "~"), Provider: parts[3], Integration: parts[4], ReceivedAt: r.Clock.Now().UnixMicro(), Body: body}
	for name := range req.Header {
		in.Headers += strings.ToLower(name) + ": " + req.Header.Get(name) + "\n"
	}
	if r.Connections.Verify(&in) != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if err := r.Connections.Receive(req.Context(), []headlessly.Receipt{in}); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (r *rig) connect(args fields) error {
	r.t.Helper()
	all := fields{"provider": "github", "token": githubtest.Token, "apiBaseUrl": r.url}
	for k, v := range args {
		all[k] = v
	}
	e, err := r.Scope.Verb(r.t.Context(), "Integration", "connect", "", all)
	if err == nil {
		r.id = e.ID
	}
	return err
}

func (r *rig) connected(args fields) {
	r.t.Helper()
	if err := r.connect(args); err != nil {
		r.t.Fatal(err)
	}
	r.WaitStatus(r.t, r.id, "Synced")
}

// sync forces a sync and waits for its end.
func (r *rig) sync() {
	r.t.Helper()
	before := r.Integration(r.t, r.id).Text("lastSyncAt")
	r.Clock.Advance(time.Second)
	if _, err := r.Scope.Verb(r.t.Context(), "Integration", "sync", r.id, nil); err != nil {
		r.t.Fatal(err)
	}
	connectortest.WaitFor(r.t, "the sync ends", func() bool {
		e := r.Integration(r.t, r.id)
		return e.Text("status") == "Synced" && e.Text("lastSyncAt") != before
	})
}

func (r *rig) find(typ string, filter fields) []*graph.Entity {
	r.t.Helper()
	var out []*graph.Entity
	q := graph.Query{Type: typ, Filter: filter, Limit: 100, Sort: []string{"githubId"}}
	for more := true; more; {
		page, err := r.Scope.Find(r.t.Context(), q)
		if err != nil {
			r.t.Fatal(err)
		}
		out = append(out, page.Results...)
		more, q.Cursor = page.HasMore, page.Cursor
	}
	return out
}

func (r *rig) issue(n int) *graph.Entity {
	r.t.Helper()
	found := r.find("Issue", fields{"githubId": fmt.Sprintf("%d/%d", r.repo.ID, n)})
	if len(found) != 1 {
		r.t.Fatalf("issue %d: found %d entities, want 1", n, len(found))
	}
	return found[0]
}

// agree compares both sides, object by object.
func (r *rig) agree() {
	r.t.Helper()
	r.hub.View(func(repos []*githubtest.Repo) {
		issues, comments := 0, 0
		for _, repo := range repos {
			for _, i := range repo.Issues {
				issues++
				comments += len(i.Comments)
				found := r.find("Issue", fields{"githubId": fmt.Sprintf("%d/%d", repo.ID, i.Number)})
				if len(found) != 1 {
					r.t.Errorf("%s#%d: found %d entities, want 1", repo.Name, i.Number, len(found))
					continue
				}
				e := found[0]
				closed := e.Text("status") == "Done" || e.Text("status") == "Closed"
				body, _, _ := strings.Cut(i.Body, "\n\n<!-- headlessly")
				if e.Text("title") != i.Title || e.Text("description") != body || e.Text("assignee") != i.Assignee || e.Text("milestone") != i.Milestone || closed != (i.State == "closed") {
					r.t.Errorf("%s#%d: got %s, GitHub has %+v", repo.Name, i.Number, e.Doc(), i)
				}
				for _, c := range i.Comments {
					mine := r.find("Comment", fields{"githubId": fmt.Sprint(c.ID)})
					text, _, _ := strings.Cut(c.Body, "\n\n<!-- headlessly")
					if len(mine) != 1 || mine[0].Text("body") != text || mine[0].Text("issue") != e.ID {
						r.t.Errorf("comment %d: got %v, want %q", c.ID, mine, text)
					}
				}
			}
		}
		if got := len(r.find("Issue", nil)); got != issues {
			r.t.Errorf("got %d issues, GitHub has %d", got, issues)
		}
		if got := len(r.find("Comment", nil)); got != comments {
			r.t.Errorf("got %d comments, GitHub has %d", got, comments)
		}
		if got := len(r.find("Project", nil)); got != len(repos) {
			r.t.Errorf("got %d projects, GitHub has %d repositories", got, len(repos))
		}
	})
}

// seed fills the repository before it is connected.
func (r *rig) seed(issues int) {
	r.hub.Change(func(c *githubtest.Changing) {
		for n := range issues {
			i := c.Open(r.repo, &githubtest.Issue{Title: fmt.Sprintf("issue %d", n+1), User: "ada", Labels: []string{"bug"}})
			if n%10 == 0 {
				c.Comment(r.repo, i, "ada", "first!")
			}
		}
		p := c.Open(r.repo, &githubtest.Issue{Title: "a pull request", User: "ada", Pull: true, Reviewer: "bob"})
		p.Reviewer = "bob"
	})
}

func TestBothSidesAgreeAfterChangesFromEach(t *testing.T) {
	r := start(t)
	r.repo.Milestones = []string{"v1"}
	r.seed(230)
	r.connected(fields{"repos": []any{"acme/shop"}})
	r.agree()
	if got := r.issue(1); got.Text("status") != "Todo" || got.Text("type") != "Bug" || got.Text("reporter") != "ada" {
		t.Errorf("an open issue: got %s", got.Doc())
	}
	if got := r.issue(231).Text("status"); got != "Review" {
		t.Errorf("a pull request that is to be reviewed: got %s", got)
	}
	project := r.find("Project", nil)[0]
	before := len(r.repo.Issues)

	// From here.
	mine, err := r.Scope.Create(t.Context(), "Issue", fields{"title": "Add dark mode", "description": "please", "project": project.ID, "labels": []any{"enhancement"}, "milestone": "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.repo.Issues); n != before+1 || mine.Text("githubId") == "" || mine.Text("status") != "Todo" {
		t.Fatalf("got %d issues at GitHub and %s, want one more", n-before, mine.Doc())
	}
	verbs := []struct {
		verb, status string
		args         fields
	}{
		{"assign", "InProgress", fields{"assignee": "bob"}},
		{"complete", "Done", nil},
		{"reopen", "InProgress", nil},
		{"close", "Closed", nil},
	}
	for _, v := range verbs {
		r.Clock.Advance(time.Second)
		e, err := r.Scope.Verb(t.Context(), "Issue", v.verb, mine.ID, v.args)
		if err != nil {
			t.Fatalf("%s: %v", v.verb, err)
		}
		if e.Text("status") != v.status {
			t.Errorf("%s: got status %s, want %s", v.verb, e.Text("status"), v.status)
		}
		r.agree()
	}
	said, err := r.Scope.Create(t.Context(), "Comment", fields{"body": "done", "issue": mine.ID})
	if err != nil {
		t.Fatal(err)
	}
	r.Clock.Advance(time.Second)
	if _, err := r.Scope.Update(t.Context(), "Comment", said.ID, fields{"body": "done, really"}); err != nil {
		t.Fatal(err)
	}
	r.agree()
	if err := r.Scope.Delete(t.Context(), "Comment", said.ID); err != nil {
		t.Fatal(err)
	}
	r.agree()

	// From there.
	r.Clock.Advance(time.Second)
	r.hub.Change(func(c *githubtest.Changing) {
		i := r.repo.Issues[4]
		i.State, i.Reason = "closed", "completed"
		c.Touch(r.repo, i, "closed")
		c.Comment(r.repo, i, "bob", "fixed")
		p := r.repo.Issues[230]
		p.State, p.Merged, p.Reviewer = "closed", true, ""
		c.Touch(r.repo, p, "closed")
	})
	connectortest.WaitFor(t, "the changes arrive", func() bool { return r.issue(5).Text("status") == "Done" && r.issue(231).Text("status") == "Done" })
	r.agree()
	evs, err := r.Scope.Events(t.Context(), graph.EventQuery{Entity: r.issue(5).ID})
	if err != nil || evs[0].Name != "Issue.Completed" {
		t.Errorf("got %v, %v; want Issue.Completed", evs[0].Name, err)
	}
	r.sync()
	r.agree()
}

func TestAnUnchangedRepositoryCostsNothing(t *testing.T) {
	r := start(t)
	r.seed(150)
	r.connected(fields{"repos": []any{"acme/shop"}})
	r.Clock.Advance(time.Hour)
	r.sync()
	first, _ := r.hub.Requests()
	r.Clock.Advance(time.Second)
	events := r.Graph.Position()
	r.sync()
	second, unchanged := r.hub.Requests()
	if unchanged == 0 {
		t.Error("no answer was unchanged: ETags are not sent")
	}
	if second-first > 4 {
		t.Errorf("a sync without news cost %d counted requests", second-first)
	}
	if got := len(r.find("Issue", nil)); got != 151 {
		t.Errorf("got %d issues, want 151", got)
	}
	_ = events
}

func TestLostWebhooksAreRecovered(t *testing.T) {
	r := start(t)
	r.seed(20)
	r.connected(fields{"repos": []any{"acme/shop"}})
	r.sync() // from now on there is a time since when
	r.Clock.Advance(10 * time.Minute)
	gone := r.find("Comment", nil)[0]
	r.hub.Set(func(f *githubtest.Faults) { f.Losing = 3 })
	r.hub.Change(func(c *githubtest.Changing) {
		c.Open(r.repo, &githubtest.Issue{Title: "nobody told us", User: "ada"})
		i := r.repo.Issues[1]
		i.State = "closed"
		c.Touch(r.repo, i, "closed")
		for _, i := range r.repo.Issues {
			for n, m := range i.Comments {
				if fmt.Sprint(m.ID) == gone.Text("githubId") {
					i.Comments = append(i.Comments[:n], i.Comments[n+1:]...)
					c.CommentGone(r.repo, i, m)
					return
				}
			}
		}
	})
	r.hub.Delivered(r.repo, 2500) // many came since then
	r.sync()
	connectortest.WaitFor(t, "the deletion is delivered again", func() bool { return len(r.find("Comment", fields{"githubId": gone.Text("githubId")})) == 0 })
	r.agree()
}

func TestARepositoryThatIsGoneCostsNoOther(t *testing.T) {
	r := start(t)
	other := r.hub.AddRepo("acme", "site")
	r.connected(fields{"repos": []any{"acme/site", "acme/shop"}})
	r.hub.RemoveRepo(other)
	r.hub.Set(func(f *githubtest.Faults) { f.Losing = 1 })
	r.hub.Change(func(c *githubtest.Changing) { c.Open(r.repo, &githubtest.Issue{Title: "behind it", User: "ada"}) })
	r.Clock.Advance(10 * time.Minute)
	r.sync()
	connectortest.WaitFor(t, "the other repository's issue", func() bool { return len(r.find("Issue", fields{"title": "behind it"})) == 1 })
	e := r.WaitStatus(t, r.id, "Synced")
	if !strings.Contains(e.Text("error"), "acme/site") {
		t.Errorf("got %s, want an error that names the repository", e.Doc())
	}
}

func TestAnIssueWhoseAnswerWasLostIsOpenedOnce(t *testing.T) {
	r := start(t)
	r.connected(fields{"repos": []any{"acme/shop"}})
	project := r.find("Project", nil)[0]
	r.hub.Set(func(f *githubtest.Faults) { f.LostAnswer = true })
	e, err := r.Scope.Create(t.Context(), "Issue", fields{"title": "once", "project": project.ID})
	if err != nil || e.Number("githubNumber") != "1" {
		t.Fatalf("got %v, %v; want the issue that was opened", e, err)
	}
	r.agree()
}

func TestWhatGitHubRefusesIsRefused(t *testing.T) {
	r := start(t)
	r.connected(fields{"repos": []any{"acme/shop"}})
	project := r.find("Project", nil)[0]
	for _, c := range []struct {
		name   string
		args   fields
		faults func(*githubtest.Faults)
		code   graph.Code
		field  string
	}{
		{"an unknown project", fields{"title": "x", "project": "project_e5JhLzXc"}, nil, graph.CodeValidation, "project"},
		{"an unknown milestone", fields{"title": "x", "project": project.ID, "milestone": "v9"}, nil, "", "milestone"},
		{"an unknown assignee", fields{"title": "x", "project": project.ID, "assignee": "nobody"}, nil, "", "assignee"},
		{"a rate limit", fields{"title": "x", "project": project.ID}, func(f *githubtest.Faults) { f.Remaining, f.Reset = 0, r.Clock.Now().Add(time.Minute) }, graph.CodeRateLimited, ""},
		{"a secondary limit", fields{"title": "x", "project": project.ID}, func(f *githubtest.Faults) { f.Secondary = 1 }, graph.CodeRateLimited, ""},
		{"429", fields{"title": "x", "project": project.ID}, func(f *githubtest.Faults) { f.Throttled = 1 }, graph.CodeRateLimited, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.faults != nil {
				r.hub.Set(c.faults)
				defer r.hub.Set(func(f *githubtest.Faults) { f.Remaining, f.Reset, f.Secondary, f.Throttled = 5000, time.Time{}, 0, 0 })
			}
			_, err := r.Scope.Create(t.Context(), "Issue", c.args)
			if err == nil || c.field != "" && !strings.Contains(err.Error(), c.field) {
				t.Errorf("got %v, want it refused for %s", err, c.field)
			}
			if c.code != "" && graph.CodeOf(err) != c.code && graph.CodeOf(err) != graph.CodeUnavailable && graph.CodeOf(err) != graph.CodeProvider {
				t.Errorf("got %v, want %s", err, c.code)
			}
			if n := len(r.repo.Issues); n != 0 {
				t.Errorf("got %d issues at GitHub, want none", n)
			}
		})
	}
}

func TestASyncOutlastsRateLimitsAndOutages(t *testing.T) {
	r := start(t)
	r.seed(130)
	r.hub.Set(func(f *githubtest.Faults) { f.Secondary = 0 })
	if err := r.connect(fields{"repos": []any{"acme/shop"}}); err != nil {
		t.Fatal(err)
	}
	r.hub.Set(func(f *githubtest.Faults) { f.Secondary, f.Throttled, f.Failing = 1, 1, 1 })
	connectortest.WaitFor(t, "the sync ends in spite of it", func() bool {
		r.Clock.Advance(10 * time.Second)
		return r.Integration(t, r.id).Text("status") == "Synced"
	})
	r.agree()
}

func TestCredentialsAreJudged(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   fields
		scopes string
		want   string
	}{
		{"a wrong token", fields{"token": "ghp_wrong_token_0123456789"}, "repo", "does not take this credential"},
		{"a token without the scope", nil, "gist, read:user", "missing: repo"},
		{"a repository that it cannot see", fields{"repos": []any{"acme/secret"}}, "repo", "acme/secret"},
		{"a repository that is none", fields{"repos": []any{"shop"}}, "repo", "owner/name"},
		{"one as a text, as a command line gives it", fields{"repos": "acme/shop, acme/secret"}, "repo", "acme/secret"},
		{"one that is no text", fields{"repos": []any{7}}, "repo", "owner/name"},
		{"something else", fields{"repos": true}, "repo", "a list"},
		{"a misspelt argument", fields{"repo": "acme/shop"}, "repo", "did you mean repos?"},
		{"another", fields{"apiBaseURL": "http://127.0.0.1:1"}, "repo", "did you mean apiBaseUrl?"},
		{"no provider", fields{"provider": nil}, "repo", "github"},
		{"an owner that is no text", fields{"owner": 7}, "repo", "owner must be a text"},
		{"no credential", fields{"token": nil}, "repo", "token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t)
			r.hub.Set(func(f *githubtest.Faults) { f.Scopes = c.scopes })
			err := r.connect(c.args)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "ghp_") {
				t.Errorf("the credential shows in %v", err)
			}
			if n := len(r.repo.Hooks); n != 0 {
				t.Errorf("got %d webhooks at GitHub, want none", n)
			}
		})
	}
}

func TestWebhooksAreRegisteredVerifiedAndRemoved(t *testing.T) {
	r := start(t)
	shy := r.hub.AddRepo("acme", "shy")
	shy.NoAdmin = true
	r.connected(fields{"owner": "acme"})
	if n := len(r.repo.Hooks); n != 1 || !strings.HasSuffix(r.repo.Hooks[0].URL, "/~acme/in/github/"+r.id) {
		t.Fatalf("got %d webhooks, want one to the inbound URL", n)
	}
	config, _ := r.Integration(t, r.id).Fields()["config"].(fields)
	if refused := fmt.Sprint(config["hooksRefused"]); refused != "[acme/shy]" {
		t.Errorf("got refused %s, want [acme/shy]", refused)
	}
	secret := r.repo.Hooks[0].Secret
	for _, c := range []struct{ name, header, value string }{
		{"no signature", "x-hub-signature-256", ""},
		{"SHA-1 only", "x-hub-signature", "sha1=" + secret},
		{"another signature", "x-hub-signature-256", "sha256=" + strings.Repeat("0", 64)},
		{"no hex", "x-hub-signature-256", "sha256=zz"},
	} {
		in := headlessly.Receipt{Tenant: "acme", Provider: "github", Integration: r.id, Body: []byte("{}"), Headers: c.header + ": " + c.value + "\n"}
		if err := r.Connections.Verify(&in); err == nil {
			t.Errorf("%s: it was taken", c.name)
		}
	}
	if _, err := r.Scope.Verb(t.Context(), "Integration", "disconnect", r.id, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(r.repo.Hooks); n != 0 {
		t.Errorf("got %d webhooks after disconnect, want none", n)
	}
}

func TestADeliveryThatComesTwiceCountsOnce(t *testing.T) {
	r := start(t)
	r.connected(fields{"repos": []any{"acme/shop"}})
	r.Clock.Advance(time.Second)
	r.hub.Change(func(c *githubtest.Changing) { c.Open(r.repo, &githubtest.Issue{Title: "one", User: "ada"}) })
	connectortest.WaitFor(t, "it arrives", func() bool { return len(r.find("Issue", nil)) == 1 })
	version := r.issue(1).Version
	r.hub.Change(func(c *githubtest.Changing) { c.Again(r.repo) })
	if got := r.issue(1); got.Version != version {
		t.Errorf("got version %d, want %d", got.Version, version)
	}
}

func TestAnAppIsConnectedByItsKey(t *testing.T) {
	r := start(t)
	r.seed(3)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	r.hub.SetApp(&key.PublicKey)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	r.connected(fields{"token": nil, "appId": 7, "installationId": 42, "credentials": fields{"privateKey": text}})
	r.agree()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	r2 := start(t)
	r2.hub.SetApp(&other.PublicKey)
	if err := r2.connect(fields{"token": nil, "appId": 7, "installationId": 42, "credentials": fields{"privateKey": text}}); graph.CodeOf(err) != graph.CodeProvider {
		t.Errorf("another App's key: got %v, want it refused", err)
	}
}

// Every payload of GitHub's own examples is understood.
func TestEveryExampleOfGitHubsIsUnderstood(t *testing.T) {
	list := examples(t)
	r := start(t)
	r.connected(nil)
	seen := map[string]int{}
	for _, e := range list {
		for n, payload := range e.Examples {
			in := headlessly.Receipt{
				Tenant: "acme", Provider: "github", Integration: r.id, ReceivedAt: r.Clock.Now().UnixMicro(), Body: payload,
				Headers: fmt.Sprintf("x-github-event: %s\nx-github-delivery: %s-%d\n", e.Name, e.Name, n),
			}
			c, l := github.New(), r.link(t)
			d, err := c.Read(t.Context(), l, &in)
			if err != nil {
				t.Errorf("%s %d: %v", e.Name, n, err)
			}
			if len(d.Changes) > 0 {
				seen[e.Name]++
			}
			for _, ch := range d.Changes {
				if ch.ID == "" || ch.Type == "" || !ch.Gone && ch.At.IsZero() {
					t.Errorf("%s %d: got the change %+v", e.Name, n, ch)
				}
			}
			if err := r.Connections.Receive(t.Context(), []headlessly.Receipt{in}); err != nil {
				t.Errorf("%s %d: %v", e.Name, n, err)
			}
		}
	}
	for name, want := range map[string]int{"issues": 29, "pull_request": 29, "issue_comment": 9} {
		if seen[name] != want {
			t.Errorf("%s: got changes of %d examples, want %d", name, seen[name], want)
		}
	}
}

type example struct {
	Name     string
	Examples []json.RawMessage
}

// examples are GitHub's own, which .ci/deps installs.
func examples(t testing.TB) []example {
	t.Helper()
	raw, err := os.ReadFile("../../cmd/e2e/testdata/payloads/node_modules/@octokit/webhooks-examples/api.github.com/index.json")
	if err != nil {
		t.Fatalf("%v; make deps installs it", err)
	}
	var out []example
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// link is the integration as the connector gets it.
func (r *rig) link(t testing.TB) *connectors.Link {
	t.Helper()
	return &connectors.Link{
		Tenant: "acme", ID: r.id, Fields: fields{"apiBaseUrl": r.url}, Config: fields{}, Secrets: map[string]headlessly.Secret{"token": headlessly.NewSecret(githubtest.Token)},
		Graph: r.Scope, Store: r.Graph, Client: http.DefaultClient, Clock: r.Clock.Now, Logger: slog.New(slog.DiscardHandler),
	}
}
