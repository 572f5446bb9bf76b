// Package githubtest stands in for GitHub in tests: it keeps repositories,
// issues, comments and webhooks, answers with ETags and rate limits, sends
// signed webhooks and remembers the ones that failed.
package githubtest

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
)

// Tokens that GitHub takes.
const (
	Token  = "ghp_a_token_that_works_0123456789"     //nolint:gosec // no secret
	Token2 = "ghp_another_that_works_too_0123456789" //nolint:gosec // no secret
)

// GitHub is an http.Handler; make it with [New]. Its API lies below /api/v3/,
// as at GitHub Enterprise Server.
type GitHub struct {
	clock headlessly.Clock
	mux   *http.ServeMux

	mu         sync.Mutex
	next       int64
	repos      []*Repo
	requests   int
	unchanged  int
	remaining  int
	reset      time.Time
	secondary  int
	throttled  int
	failing    int
	lostAnswer bool
	losing     int
	scopes     string
	appKey     *rsa.PublicKey
	revoked    map[string]bool
	cut        int
}

// Revoke makes a token invalid.
func (g *GitHub) Revoke(token string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.revoked[token] = true
}

// known says whether a request has a token that is good.
func (g *GitHub) known(r *http.Request) bool {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	return (token == Token || token == Token2) && !g.revoked[token]
}

// SetApp has an App with this key installed as number 42.
func (g *GitHub) SetApp(key *rsa.PublicKey) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.appKey = key
}

// app says whether a request for a token is signed by the App.
func (g *GitHub) app(r *http.Request) bool {
	parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	if g.appKey == nil || len(parts) != 3 || !strings.HasSuffix(r.URL.Path, "/access_tokens") {
		return false
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return err == nil && rsa.VerifyPKCS1v15(g.appKey, crypto.SHA256, sum[:], sig) == nil
}

// Repo is a repository.
type Repo struct {
	ID          int64
	Owner, Name string
	Archived    bool
	Issues      []*Issue
	Milestones  []string
	Hooks       []*Hook
	NoAdmin     bool // the token may not see its webhooks
	updated     time.Time
}

// Issue is an issue or a pull request.
type Issue struct {
	ID                         int64
	Number                     int
	Title, Body, State, Reason string
	Assignee, Milestone, User  string
	Labels                     []string
	Pull, Merged               bool
	Reviewer                   string
	Created, Updated           time.Time
	Comments                   []*Comment
	Odd                        bool // it is of a form that nobody knows
}

// Comment is a comment.
type Comment struct {
	ID               int64
	Body, User       string
	Created, Updated time.Time
}

// Hook is a webhook of a repository.
type Hook struct {
	ID          int64
	URL, Secret string
	Events      []string
	Deliveries  []*Delivery
}

// Delivery is one attempt to deliver a webhook.
type Delivery struct {
	ID            int64
	GUID          string
	Event, Action string
	At            time.Time
	Status        int
	Redelivery    bool
	body          []byte
}

// New makes a GitHub without repositories.
func New(clock headlessly.Clock) *GitHub {
	g := &GitHub{clock: clock, mux: http.NewServeMux(), next: 1000, remaining: 5000, scopes: "repo", revoked: map[string]bool{}}
	g.routes()
	return g
}

// SetClock gives it another clock.
func (g *GitHub) SetClock(clock headlessly.Clock) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clock = clock
}

// AddRepo adds a repository.
func (g *GitHub) AddRepo(owner, name string) *Repo {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := &Repo{ID: g.id(), Owner: owner, Name: name, updated: g.now()}
	g.repos = append(g.repos, r)
	return r
}

// RemoveRepo takes a repository away, as if it was deleted or hidden.
func (g *GitHub) RemoveRepo(r *Repo) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.repos = slices.DeleteFunc(slices.Clone(g.repos), func(other *Repo) bool { return other == r })
}

// Delivered adds n attempts that succeeded to what a repository's webhooks have
// tried.
func (g *GitHub) Delivered(r *Repo, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range r.Hooks {
		for range n {
			h.Deliveries = append(h.Deliveries, &Delivery{ID: g.id(), GUID: fmt.Sprintf("guid-%d", g.id()), Event: "issues", Action: "edited", At: g.now(), Status: http.StatusOK})
		}
	}
}

// Change does something as a user of GitHub would, under its lock; then the
// webhooks go out that f asks for.
func (g *GitHub) Change(f func(change *Changing)) {
	g.mu.Lock()
	c := &Changing{g: g}
	f(c)
	g.mu.Unlock()
	c.send()
}

// Set changes a fault: the requests that remain, how many answers are secondary
// limits, 429 or 500, whether the next creation's answer is lost, how many
// webhooks are lost, the token's scopes.
func (g *GitHub) Set(f func(*Faults)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := Faults{Remaining: g.remaining, Reset: g.reset, Secondary: g.secondary, Throttled: g.throttled, Failing: g.failing, LostAnswer: g.lostAnswer, Losing: g.losing, Scopes: g.scopes, Cut: g.cut}
	f(&x)
	g.remaining, g.reset, g.secondary, g.throttled, g.failing, g.lostAnswer, g.losing, g.scopes, g.cut = x.Remaining, x.Reset, x.Secondary, x.Throttled, x.Failing, x.LostAnswer, x.Losing, x.Scopes, x.Cut
}

// Faults are what [GitHub.Set] changes.
type Faults struct {
	Remaining  int
	Reset      time.Time
	Secondary  int
	Throttled  int
	Failing    int
	LostAnswer bool
	Losing     int
	Scopes     string
	Cut        int // answers with a list of issues that end in the middle
}

// Requests tells how many requests counted, and how many more were answered as
// unchanged.
func (g *GitHub) Requests() (counted, unchanged int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.requests, g.unchanged
}

// View shows the state under its lock.
func (g *GitHub) View(f func(repos []*Repo)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(g.repos)
}

func (g *GitHub) id() int64 { g.next++; return g.next }

func (g *GitHub) now() time.Time { return g.clock().UTC().Truncate(time.Second) }

// ServeHTTP implements http.Handler.
func (g *GitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	g.mu.Lock()
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	refuse := func(status int, message string) {
		g.mu.Unlock()
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"message": message, "documentation_url": "https://docs.github.com/rest" + map[bool]string{true: "/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}[strings.Contains(message, "secondary")]})
	}
	h.Set("X-Ratelimit-Limit", "5000")
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(g.remaining))
	h.Set("X-Ratelimit-Reset", strconv.FormatInt(g.reset.Unix(), 10))
	if !g.reset.IsZero() && !g.clock().Before(g.reset) {
		g.remaining, g.reset = 5000, time.Time{}
	}
	switch {
	case !g.known(r) && !g.app(r):
		refuse(http.StatusUnauthorized, "Bad credentials")
		return
	case g.remaining <= 0:
		refuse(http.StatusForbidden, "API rate limit exceeded for user ID 1.")
		return
	case g.secondary > 0:
		g.secondary--
		h.Set("Retry-After", "7")
		refuse(http.StatusForbidden, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
		return
	case g.throttled > 0:
		g.throttled--
		h.Set("Retry-After", "9")
		refuse(http.StatusTooManyRequests, "Too many requests")
		return
	case g.failing > 0:
		g.failing--
		refuse(http.StatusBadGateway, "Server Error")
		return
	}
	g.remaining--
	g.requests++
	rec := &recorder{header: http.Header{}, status: http.StatusOK}
	c := &Changing{g: g}
	g.mux.ServeHTTP(rec, r.WithContext(with(r.Context(), c)))
	if r.Method == http.MethodGet && rec.status == http.StatusOK {
		sum := sha256.Sum256(rec.body.Bytes())
		etag := `W/"` + hex.EncodeToString(sum[:16]) + `"`
		h.Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			g.requests--
			g.remaining++
			g.unchanged++
			rec.status = http.StatusNotModified
			rec.body.Reset()
		}
	}
	if r.Method == http.MethodPost && rec.status == http.StatusCreated && g.lostAnswer {
		g.lostAnswer = false
		rec.status = http.StatusBadGateway
		rec.body.Reset()
		rec.body.WriteString(`{"message":"Server Error"}`)
	}
	if g.cut > 0 && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/issues") {
		g.cut--
		h.Del("ETag")
		rec.body.Truncate(rec.body.Len() / 2)
	}
	h.Set("X-OAuth-Scopes", g.scopes)
	for k, v := range rec.header {
		h[k] = v
	}
	g.mu.Unlock()
	c.send()
	w.WriteHeader(rec.status)
	_, _ = w.Write(rec.body.Bytes())
}

// recorder holds an answer back until the lock is released.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

// page writes one page of a list.
func page[T any](w http.ResponseWriter, r *http.Request, list []T) {
	n, size := 1, 30
	if v, err := strconv.Atoi(r.URL.Query().Get("page")); err == nil {
		n = v
	}
	if v, err := strconv.Atoi(r.URL.Query().Get("per_page")); err == nil {
		size = min(v, 100)
	}
	from, to := min((n-1)*size, len(list)), min(n*size, len(list))
	if to < len(list) {
		q := r.URL.Query()
		q.Set("page", strconv.Itoa(n+1))
		w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?%s>; rel="next"`, r.Host, r.URL.Path, q.Encode()))
	}
	out := list[from:to]
	if out == nil {
		out = []T{}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func sortBy(list []map[string]any, key, direction string) {
	sort.SliceStable(list, func(i, j int) bool {
		a, b := fmt.Sprint(list[i][key]), fmt.Sprint(list[j][key])
		if direction == "asc" {
			return a < b
		}
		return a > b
	})
}
