package github

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v89/github"

	"github.com/headlessly/headlessly/connectors"
)

const perPage = 100

// skew is how far back a sync looks before the one before it began: clocks
// differ, and GitHub's lists lag.
const skew = 2 * time.Minute

// Phases of a sync, in order; all but the first for each repository.
const (
	phaseRepos    = "repositories"
	phaseIssues   = "issues"
	phasePulls    = "pull requests"
	phaseComments = "comments"
	phaseMissed   = "missed deliveries"
	phaseDone     = ""
)

// cursor is where a sync stands.
type cursor struct {
	Phase string    `json:"phase,omitempty"`
	Since time.Time `json:"since,omitzero"` // changes from then on; zero for all
	Begun time.Time `json:"begun,omitzero"` // becomes Since
	Repos []repo    `json:"repos,omitempty"`
	Repo  int       `json:"repo,omitempty"`
	Page  int       `json:"page,omitempty"`
	From  time.Time `json:"from,omitzero"` // within a repository's phase
}

// repo is what a later phase needs of a repository.
type repo struct {
	ID    int64  `json:"id"`
	Owner string `json:"owner"`
	Name  string `json:"name"`
}

func (r repo) github() *gh.Repository {
	full := r.Owner + "/" + r.Name
	return &gh.Repository{ID: &r.ID, Name: &r.Name, FullName: &full, Owner: &gh.User{Login: &r.Owner}}
}

// path is that of something of a repository.
func (r repo) path(of string) string {
	return "repos/" + url.PathEscape(r.Owner) + "/" + url.PathEscape(r.Name) + "/" + of
}

// since asks for what has changed since the cursor's place.
func (at *cursor) since(q url.Values) {
	if !at.From.IsZero() {
		q.Set("since", at.From.UTC().Format(time.RFC3339))
	}
}

// Sync implements connectors.Syncer.
func (c *Connector) Sync(ctx context.Context, l *connectors.Link, raw json.RawMessage) iter.Seq2[connectors.Page, error] {
	return func(yield func(connectors.Page, error) bool) {
		var at cursor
		if err := unmarshal(raw, &at); err != nil {
			yield(connectors.Page{}, fmt.Errorf("cursor: %w", err))
			return
		}
		if at.Phase == phaseDone {
			at = cursor{Phase: phaseRepos, Since: at.Since, Begun: l.Clock(), Page: 1}
		}
		for at.Phase != phaseDone {
			client, err := c.client(ctx, l) // an App's token may end during a long sync
			if err != nil {
				yield(connectors.Page{}, err)
				return
			}
			phase := at.Phase
			changes, err := c.step(ctx, client, l, &at)
			if err != nil {
				yield(connectors.Page{}, err)
				return
			}
			next, err := json.Marshal(at)
			if err != nil {
				yield(connectors.Page{}, err)
				return
			}
			if !yield(connectors.Page{Changes: changes, Cursor: next, Phase: phase}, nil) {
				return
			}
		}
	}
}

// step reads one page and moves the cursor behind it.
func (c *Connector) step(ctx context.Context, client *gh.Client, l *connectors.Link, at *cursor) ([]connectors.Change, error) {
	switch at.Phase {
	case phaseRepos:
		found, odd, next, err := c.all(ctx, client, l, at.Page)
		if err != nil {
			return nil, err
		}
		out := unreadable(l, "Project", odd)
		for _, r := range found {
			at.Repos = append(at.Repos, repo{r.GetID(), r.GetOwner().GetLogin(), r.GetName()})
			out = append(out, project(r))
		}
		if at.Page = next; next == 0 {
			at.begin(phaseIssues, 0)
		}
		return out, nil
	case phaseIssues:
		return c.issues(ctx, client, l, at)
	case phasePulls:
		return c.pulls(ctx, client, l, at)
	case phaseComments:
		return c.comments(ctx, client, l, at)
	case phaseMissed:
		for full, hook := range hooks(l) {
			if at.Since.IsZero() {
				break // nothing can have been missed yet
			}
			if err := redeliver(ctx, client, l, full, hook, at.Since); err != nil {
				return nil, err
			}
		}
		*at = cursor{Since: at.Begun.Add(-skew)}
		return nil, nil
	}
	return nil, fmt.Errorf("cursor: unknown phase %q", at.Phase)
}

// begin starts a phase of a repository, or what comes after the last one.
func (at *cursor) begin(phase string, n int) {
	at.Phase, at.Repo, at.Page, at.From = phase, n, 1, at.Since
	if n >= len(at.Repos) {
		at.Phase = phaseMissed
	}
}

// advance goes on behind a full page of objects that are sorted by their time
// of change: from the last one's time, so that nothing that changes meanwhile
// shifts the pages; by page number where a whole page has one time.
func (at *cursor) advance(last time.Time) {
	if last.After(at.From) {
		at.From, at.Page = last, 1
		return
	}
	at.Page++
}

// issues reads a repository's issues, and its closed pull requests among them.
func (c *Connector) issues(ctx context.Context, client *gh.Client, l *connectors.Link, at *cursor) ([]connectors.Change, error) {
	r := at.Repos[at.Repo]
	q := url.Values{"state": {"all"}, "sort": {"updated"}, "direction": {"asc"}}
	at.since(q)
	p, err := list[gh.Issue](ctx, client, r.path("issues"), q, at.Page, nil)
	if gone(err) { // issues are switched off, or the repository went
		at.begin(phasePulls, at.Repo)
		return nil, nil
	}
	if err != nil {
		return nil, explain(l, "token", err)
	}
	out := unreadable(l, "Issue", p.odd)
	for _, i := range p.items {
		if i.IsPullRequest() && i.GetState() == "open" {
			continue // it does not tell who is to review: the next phase does
		}
		ch := c.issue(l, r.github(), i)
		ch.Fresh = true
		out = append(out, ch)
	}
	if p.count < perPage {
		at.begin(phasePulls, at.Repo)
	} else {
		at.advance(p.last)
	}
	return out, nil
}

// pulls reads a repository's open pull requests, newest change first, until
// they are older than what is wanted.
func (c *Connector) pulls(ctx context.Context, client *gh.Client, l *connectors.Link, at *cursor) ([]connectors.Change, error) {
	r := at.Repos[at.Repo]
	q := url.Values{"state": {"open"}, "sort": {"updated"}, "direction": {"desc"}}
	found, err := list[gh.PullRequest](ctx, client, r.path("pulls"), q, at.Page, nil)
	if gone(err) {
		at.begin(phaseComments, at.Repo)
		return nil, nil
	}
	if err != nil {
		return nil, explain(l, "token", err)
	}
	out := unreadable(l, "Issue", found.odd)
	old := false
	for _, p := range found.items {
		if old = p.GetUpdatedAt().Before(at.Since); old {
			break
		}
		ch := c.pull(l, r.github(), p)
		ch.Fresh = true
		out = append(out, ch)
	}
	if at.Page = found.next; old || at.Page == 0 {
		at.begin(phaseComments, at.Repo)
	}
	return out, nil
}

// comments reads the comments of a repository's issues and pull requests.
func (c *Connector) comments(ctx context.Context, client *gh.Client, l *connectors.Link, at *cursor) ([]connectors.Change, error) {
	r := at.Repos[at.Repo]
	q := url.Values{"sort": {"updated"}, "direction": {"asc"}}
	at.since(q)
	p, err := list[gh.IssueComment](ctx, client, r.path("issues/comments"), q, at.Page, nil)
	if gone(err) {
		at.begin(phaseIssues, at.Repo+1)
		return nil, nil
	}
	if err != nil {
		return nil, explain(l, "token", err)
	}
	out := unreadable(l, "Comment", p.odd)
	for _, m := range p.items {
		number, err := strconv.Atoi(path.Base(strings.TrimRight(m.GetIssueURL(), "/")))
		if err != nil {
			continue // it belongs to nothing that is known here
		}
		ch := comment(r.github(), number, m)
		ch.Fresh = true
		out = append(out, ch)
	}
	if p.count < perPage {
		at.begin(phaseIssues, at.Repo+1)
	} else {
		at.advance(p.last)
	}
	return out, nil
}
