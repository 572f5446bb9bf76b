package githubtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

type repoRoute = func(pattern string, f func(w http.ResponseWriter, r *http.Request, at *Repo))

func (g *GitHub) commentRoutes(repo repoRoute) {
	repo("GET /issues/comments", func(w http.ResponseWriter, r *http.Request, at *Repo) {
		since, _ := time.Parse(time.RFC3339, r.URL.Query().Get("since"))
		var list []map[string]any
		for _, i := range at.Issues {
			for _, c := range i.Comments {
				if !c.Updated.Before(since) {
					list = append(list, c.json(at, i))
				}
			}
		}
		sortBy(list, "updated_at", r.URL.Query().Get("direction"))
		page(w, r, list)
	})
	repo("POST /issues/{number}/comments", func(w http.ResponseWriter, r *http.Request, at *Repo) {
		var in struct{ Body string }
		i := at.issue(r.PathValue("number"))
		if i == nil || json.NewDecoder(r.Body).Decode(&in) != nil {
			notFound(w)
			return
		}
		answer(w, http.StatusCreated, changing(r).Comment(at, i, "octocat", in.Body).json(at, i))
	})
	one := func(f func(w http.ResponseWriter, r *http.Request, at *Repo, i *Issue, n int)) func(http.ResponseWriter, *http.Request, *Repo) {
		return func(w http.ResponseWriter, r *http.Request, at *Repo) {
			id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
			for _, i := range at.Issues {
				for n, c := range i.Comments {
					if c.ID == id {
						f(w, r, at, i, n)
						return
					}
				}
			}
			notFound(w)
		}
	}
	repo("PATCH /issues/comments/{id}", one(func(w http.ResponseWriter, r *http.Request, at *Repo, i *Issue, n int) {
		var in struct{ Body string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		c := i.Comments[n]
		c.Body, c.Updated = in.Body, g.now()
		changing(r).commented(at, i, c, "edited")
		answer(w, 200, c.json(at, i))
	}))
	repo("DELETE /issues/comments/{id}", one(func(w http.ResponseWriter, r *http.Request, at *Repo, i *Issue, n int) {
		c := i.Comments[n]
		i.Comments = slices.Delete(i.Comments, n, n+1)
		changing(r).commented(at, i, c, "deleted")
		answer(w, http.StatusNoContent, nil)
	}))
}

func (g *GitHub) hookRoutes(repo repoRoute) {
	admin := func(f func(w http.ResponseWriter, r *http.Request, at *Repo)) func(http.ResponseWriter, *http.Request, *Repo) {
		return func(w http.ResponseWriter, r *http.Request, at *Repo) {
			if at.NoAdmin {
				notFound(w)
				return
			}
			f(w, r, at)
		}
	}
	type hookRequest struct {
		Config struct {
			URL         string `json:"url"`
			Secret      string `json:"secret"`
			ContentType string `json:"content_type"`
		}
		Events []string
	}
	repo("GET /hooks", admin(func(w http.ResponseWriter, r *http.Request, at *Repo) {
		var list []map[string]any
		for _, h := range at.Hooks {
			list = append(list, h.json())
		}
		page(w, r, list)
	}))
	repo("POST /hooks", admin(func(w http.ResponseWriter, r *http.Request, at *Repo) {
		var in hookRequest
		if json.NewDecoder(r.Body).Decode(&in) != nil || in.Config.ContentType != "json" {
			answer(w, 422, map[string]any{"message": "Validation Failed"})
			return
		}
		h := &Hook{ID: g.id(), URL: in.Config.URL, Secret: in.Config.Secret, Events: in.Events}
		at.Hooks = append(at.Hooks, h)
		answer(w, http.StatusCreated, h.json())
	}))
	find := func(w http.ResponseWriter, r *http.Request, at *Repo) (int, *Hook) {
		id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
		n := slices.IndexFunc(at.Hooks, func(h *Hook) bool { return h.ID == id })
		if n < 0 {
			notFound(w)
			return 0, nil
		}
		return n, at.Hooks[n]
	}
	repo("PATCH /hooks/{id}", admin(func(w http.ResponseWriter, r *http.Request, at *Repo) {
		var in hookRequest
		if _, h := find(w, r, at); h != nil {
			_ = json.NewDecoder(r.Body).Decode(&in)
			h.Secret, h.Events = in.Config.Secret, in.Events
			answer(w, 200, h.json())
		}
	}))
	repo("DELETE /hooks/{id}", admin(func(w http.ResponseWriter, r *http.Request, at *Repo) {
		if n, h := find(w, r, at); h != nil {
			at.Hooks = slices.Delete(at.Hooks, n, n+1)
			answer(w, http.StatusNoContent, nil)
		}
	}))
	repo("GET /hooks/{id}/deliveries", admin(func(w http.ResponseWriter, r *http.Request, at *Repo) {
		_, h := find(w, r, at)
		if h == nil {
			return
		}
		list := []map[string]any{}
		for _, d := range slices.Backward(h.Deliveries) {
			list = append(list, map[string]any{"id": d.ID, "guid": d.GUID, "delivered_at": d.At.Format(time.RFC3339), "redelivery": d.Redelivery, "status_code": d.Status, "event": d.Event, "action": d.Action})
		}
		from, err := strconv.Atoi(r.URL.Query().Get("cursor"))
		if err != nil {
			from = 0
		}
		from = min(max(from, 0), len(list))
		to := min(from+100, len(list))
		if to < len(list) {
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?per_page=100&cursor=%d>; rel="next"`, r.Host, r.URL.Path, to))
		}
		answer(w, 200, list[from:to])
	}))
	repo("POST /hooks/{id}/deliveries/{delivery}/attempts", admin(func(w http.ResponseWriter, r *http.Request, at *Repo) {
		_, h := find(w, r, at)
		if h == nil {
			return
		}
		id, _ := strconv.ParseInt(r.PathValue("delivery"), 10, 64)
		for _, d := range h.Deliveries {
			if d.ID == id {
				c := changing(r)
				c.out = append(c.out, sending{h, &Delivery{ID: g.id(), GUID: d.GUID, Event: d.Event, Action: d.Action, At: g.now(), Redelivery: true, body: d.body}})
				answer(w, http.StatusAccepted, map[string]any{})
				return
			}
		}
		notFound(w)
	}))
}

func (h *Hook) json() map[string]any {
	return map[string]any{"id": h.ID, "name": "web", "active": true, "events": h.Events, "config": map[string]any{"url": h.URL, "content_type": "json", "secret": "********"}}
}

func login(name string) any {
	if name == "" {
		return nil
	}
	return map[string]any{"login": name}
}

func (r *Repo) json() map[string]any {
	return map[string]any{
		"id": r.ID, "name": r.Name, "full_name": r.Owner + "/" + r.Name, "owner": login(r.Owner), "private": false, "archived": r.Archived,
		"updated_at": r.updated.Format(time.RFC3339), "created_at": r.updated.Format(time.RFC3339), "html_url": "https://github.example/" + r.Owner + "/" + r.Name,
	}
}

func (i *Issue) json(r *Repo) map[string]any {
	labels := []any{}
	for _, l := range i.Labels {
		labels = append(labels, map[string]any{"name": l})
	}
	out := map[string]any{
		"id": i.ID, "number": i.Number, "title": i.Title, "body": i.Body, "state": i.State, "state_reason": nil, "assignee": login(i.Assignee), "user": login(i.User),
		"labels": labels, "milestone": nil, "created_at": i.Created.Format(time.RFC3339), "updated_at": i.Updated.Format(time.RFC3339),
		"html_url": fmt.Sprintf("https://github.example/%s/%s/issues/%d", r.Owner, r.Name, i.Number),
	}
	if i.Reason != "" {
		out["state_reason"] = i.Reason
	}
	if i.Odd {
		out["title"], out["labels"] = map[string]any{"unheard": "of"}, 7
	}
	if i.Milestone != "" {
		out["milestone"] = map[string]any{"title": i.Milestone}
	}
	if i.Pull {
		links := map[string]any{"url": "x"}
		if i.Merged {
			links["merged_at"] = i.Updated.Format(time.RFC3339)
		}
		out["pull_request"] = links
	}
	return out
}

func (i *Issue) pullJSON(r *Repo) map[string]any {
	out := i.json(r)
	delete(out, "pull_request")
	out["id"], out["merged"], out["requested_reviewers"] = i.ID+500_000, i.Merged, []any{}
	if i.Reviewer != "" {
		out["requested_reviewers"] = []any{login(i.Reviewer)}
	}
	return out
}

func (c *Comment) json(r *Repo, i *Issue) map[string]any {
	return map[string]any{
		"id": c.ID, "body": c.Body, "user": login(c.User), "created_at": c.Created.Format(time.RFC3339), "updated_at": c.Updated.Format(time.RFC3339),
		"issue_url": fmt.Sprintf("https://github.example/api/v3/repos/%s/%s/issues/%d", r.Owner, r.Name, i.Number), "html_url": fmt.Sprintf("https://github.example/c/%d", c.ID),
	}
}

// Changing is a change under way.
type Changing struct {
	g   *GitHub
	out []sending
}

type sending struct {
	h *Hook
	d *Delivery
}

// Open opens an issue or pull request.
func (c *Changing) Open(r *Repo, i *Issue) *Issue {
	i.ID, i.Number, i.State, i.Created = c.g.id(), len(r.Issues)+1, "open", c.g.now()
	r.Issues = append(r.Issues, i)
	c.Touch(r, i, "opened")
	return i
}

// Touch tells that an issue or pull request has changed.
func (c *Changing) Touch(r *Repo, i *Issue, action string) {
	i.Updated = c.g.now()
	if i.Pull {
		c.emit(r, "pull_request", action, func() map[string]any { return map[string]any{"number": i.Number, "pull_request": i.pullJSON(r)} })
		return
	}
	c.emit(r, "issues", action, func() map[string]any { return map[string]any{"issue": i.json(r)} })
}

// Comment adds a comment.
func (c *Changing) Comment(r *Repo, i *Issue, user, body string) *Comment {
	m := &Comment{ID: c.g.id(), Body: body, User: user, Created: c.g.now(), Updated: c.g.now()}
	i.Comments = append(i.Comments, m)
	c.commented(r, i, m, "created")
	return m
}

func (c *Changing) commented(r *Repo, i *Issue, m *Comment, action string) {
	c.emit(r, "issue_comment", action, func() map[string]any { return map[string]any{"issue": i.json(r), "comment": m.json(r, i)} })
}

// CommentGone tells that a comment has been deleted.
func (c *Changing) CommentGone(r *Repo, i *Issue, m *Comment) { c.commented(r, i, m, "deleted") }

// Again sends the last webhook of a repository once more, with the same id.
func (c *Changing) Again(r *Repo) {
	for _, h := range r.Hooks {
		if n := len(h.Deliveries); n > 0 {
			d := *h.Deliveries[n-1]
			d.Redelivery = true
			c.out = append(c.out, sending{h, &d})
		}
	}
}

// Repository tells that a repository has changed.
func (c *Changing) Repository(r *Repo, action string) {
	r.updated = c.g.now()
	c.emit(r, "repository", action, func() map[string]any { return map[string]any{} })
}

// emit prepares a webhook; what it says is read when it leaves.
func (c *Changing) emit(r *Repo, event, action string, payload func() map[string]any) {
	for _, h := range r.Hooks {
		if !slices.Contains(h.Events, event) {
			continue
		}
		c.out = append(c.out, sending{h, &Delivery{ID: c.g.id(), GUID: fmt.Sprintf("guid-%d", c.g.id()), Event: event, Action: action, At: c.g.now()}})
		at := c.out[len(c.out)-1].d
		at.body = nil
		c.later(at, r, action, payload)
	}
}

func (c *Changing) later(d *Delivery, r *Repo, action string, payload func() map[string]any) {
	p := payload()
	p["action"], p["repository"], p["sender"] = action, r.json(), login("octocat")
	d.body, _ = json.Marshal(p) // maps of JSON values
}

// send posts the webhooks, outside the lock.
func (c *Changing) send() {
	for _, s := range c.out {
		c.g.mu.Lock()
		s.h.Deliveries = append(s.h.Deliveries, s.d)
		lost := c.g.losing > 0
		if lost {
			c.g.losing--
		}
		secret := s.h.Secret
		c.g.mu.Unlock()
		status := http.StatusBadGateway
		if !lost {
			status = post(s.h.URL, secret, s.d)
		}
		c.g.mu.Lock()
		s.d.Status = status
		c.g.mu.Unlock()
	}
}

func post(url, secret string, d *Delivery) int {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(d.body)) //nolint:noctx // of a test
	if err != nil {
		return 0
	}
	m := hmac.New(sha256.New, []byte(secret))
	m.Write(d.body)
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": d.Event, "X-GitHub-Delivery": d.GUID, "X-Hub-Signature-256": "sha256=" + hex.EncodeToString(m.Sum(nil)),
	} {
		req.Header.Set(name, value)
	}
	res, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}
