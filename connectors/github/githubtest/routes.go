package githubtest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

type changingKey struct{}

func with(ctx context.Context, c *Changing) context.Context {
	return context.WithValue(ctx, changingKey{}, c)
}

func changing(r *http.Request) *Changing {
	c, _ := r.Context().Value(changingKey{}).(*Changing)
	return c
}

func answer(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	if v != nil {
		_ = json.NewEncoder(w).Encode(v)
	}
}

func notFound(w http.ResponseWriter) {
	answer(w, http.StatusNotFound, map[string]any{"message": "Not Found"})
}

// routes are those of the API that the connector may use.
func (g *GitHub) routes() {
	repo := func(pattern string, f func(w http.ResponseWriter, r *http.Request, at *Repo)) {
		method, path, _ := cut(pattern)
		g.mux.HandleFunc(method+" /api/v3/repos/{owner}/{repo}"+path, func(w http.ResponseWriter, r *http.Request) {
			for _, at := range g.repos {
				if at.Owner == r.PathValue("owner") && at.Name == r.PathValue("repo") {
					f(w, r, at)
					return
				}
			}
			notFound(w)
		})
	}
	g.mux.HandleFunc("GET /api/v3/user", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"login": "octocat", "id": 1})
	})
	g.mux.HandleFunc("GET /api/v3/users/{name}", func(w http.ResponseWriter, r *http.Request) {
		if slices.ContainsFunc(g.repos, func(at *Repo) bool { return at.Owner == r.PathValue("name") }) {
			answer(w, 200, login(r.PathValue("name")))
			return
		}
		notFound(w)
	})
	g.mux.HandleFunc("POST /api/v3/app/installations/42/access_tokens", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusCreated, map[string]any{"token": Token, "expires_at": g.now().Add(time.Hour).Format(time.RFC3339)})
	})
	g.mux.HandleFunc("GET /api/v3/installation/repositories", func(w http.ResponseWriter, _ *http.Request) {
		list := []any{}
		for _, at := range g.repos {
			list = append(list, at.json())
		}
		answer(w, 200, map[string]any{"total_count": len(list), "repositories": list})
	})
	g.mux.HandleFunc("GET /api/v3/user/repos", func(w http.ResponseWriter, r *http.Request) {
		var list []map[string]any
		for _, at := range g.repos {
			list = append(list, at.json())
		}
		page(w, r, list)
	})
	repo("GET ", func(w http.ResponseWriter, _ *http.Request, at *Repo) { answer(w, 200, at.json()) })
	repo("GET /issues", g.listIssues)
	repo("POST /issues", g.createIssue)
	repo("GET /issues/{number}", func(w http.ResponseWriter, r *http.Request, at *Repo) {
		if i := at.issue(r.PathValue("number")); i != nil {
			answer(w, 200, i.json(at))
			return
		}
		notFound(w)
	})
	repo("PATCH /issues/{number}", g.editIssue)
	repo("GET /pulls", func(w http.ResponseWriter, r *http.Request, at *Repo) {
		var list []map[string]any
		for _, i := range at.Issues {
			if i.Pull && i.State == "open" {
				list = append(list, i.pullJSON(at))
			}
		}
		sortBy(list, "updated_at", r.URL.Query().Get("direction"))
		page(w, r, list)
	})
	repo("GET /pulls/{number}", func(w http.ResponseWriter, r *http.Request, at *Repo) {
		if i := at.issue(r.PathValue("number")); i != nil && i.Pull {
			answer(w, 200, i.pullJSON(at))
			return
		}
		notFound(w)
	})
	repo("GET /milestones", func(w http.ResponseWriter, r *http.Request, at *Repo) {
		var list []map[string]any
		for n, title := range at.Milestones {
			list = append(list, map[string]any{"number": n + 1, "title": title})
		}
		page(w, r, list)
	})
	g.commentRoutes(repo)
	g.hookRoutes(repo)
}

func cut(pattern string) (method, path string, ok bool) {
	for i := range pattern {
		if pattern[i] == ' ' {
			return pattern[:i], pattern[i+1:], true
		}
	}
	return pattern, "", false
}

func (r *Repo) issue(number string) *Issue {
	n, _ := strconv.Atoi(number)
	for _, i := range r.Issues {
		if i.Number == n {
			return i
		}
	}
	return nil
}

func (g *GitHub) listIssues(w http.ResponseWriter, r *http.Request, at *Repo) {
	q := r.URL.Query()
	since, _ := time.Parse(time.RFC3339, q.Get("since"))
	var list []map[string]any
	for _, i := range at.Issues {
		if !i.Updated.Before(since) && (q.Get("state") == "all" || i.State == q.Get("state")) {
			list = append(list, i.json(at))
		}
	}
	key := "created_at"
	if q.Get("sort") == "updated" {
		key = "updated_at"
	}
	sortBy(list, key, q.Get("direction"))
	page(w, r, list)
}

// issueRequest is what a client may say of an issue.
type issueRequest struct {
	Title, Body, State *string
	Reason             *string `json:"state_reason"`
	Labels, Assignees  *[]string
	Milestone          *int
}

func (g *GitHub) createIssue(w http.ResponseWriter, r *http.Request, at *Repo) {
	var in issueRequest
	if json.NewDecoder(r.Body).Decode(&in) != nil || in.Title == nil || *in.Title == "" {
		answer(w, 422, map[string]any{"message": "Validation Failed", "errors": []any{map[string]any{"resource": "Issue", "code": "missing_field", "field": "title"}}})
		return
	}
	i := &Issue{User: "octocat"}
	if !i.apply(w, in, at) {
		return
	}
	changing(r).Open(at, i)
	answer(w, http.StatusCreated, i.json(at))
}

func (g *GitHub) editIssue(w http.ResponseWriter, r *http.Request, at *Repo) {
	i := at.issue(r.PathValue("number"))
	var in issueRequest
	if i == nil {
		notFound(w)
		return
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		answer(w, 400, map[string]any{"message": "Problems parsing JSON"})
		return
	}
	was := *i
	if !i.apply(w, in, at) {
		return
	}
	c := changing(r)
	switch {
	case was.State != i.State && i.State == "closed":
		c.Touch(at, i, "closed")
	case was.State != i.State:
		c.Touch(at, i, "reopened")
	case was.Assignee != i.Assignee && i.Assignee != "":
		c.Touch(at, i, "assigned")
	default:
		c.Touch(at, i, "edited")
	}
	answer(w, 200, i.json(at))
}

// apply changes an issue; it answers what GitHub refuses.
func (i *Issue) apply(w http.ResponseWriter, in issueRequest, at *Repo) bool {
	if in.Milestone != nil && (*in.Milestone < 0 || *in.Milestone > len(at.Milestones)) {
		answer(w, 422, map[string]any{"message": "Validation Failed", "errors": []any{map[string]any{"resource": "Issue", "code": "invalid", "field": "milestone"}}})
		return false
	}
	if in.Assignees != nil && slices.Contains(*in.Assignees, "nobody") {
		answer(w, 422, map[string]any{"message": "Validation Failed", "errors": []any{map[string]any{"resource": "Issue", "code": "invalid", "field": "assignees"}}})
		return false
	}
	for to, from := range map[*string]*string{&i.Title: in.Title, &i.Body: in.Body, &i.State: in.State, &i.Reason: in.Reason} {
		if from != nil {
			*to = *from
		}
	}
	if in.Labels != nil {
		i.Labels = *in.Labels
	}
	if in.Assignees != nil {
		i.Assignee = ""
		if len(*in.Assignees) > 0 {
			i.Assignee = (*in.Assignees)[0]
		}
	}
	if in.Milestone != nil {
		i.Milestone = ""
		if *in.Milestone > 0 {
			i.Milestone = at.Milestones[*in.Milestone-1]
		}
	}
	return true
}
