package github

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v89/github"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

// Push implements connectors.Pusher.
func (c *Connector) Push(ctx context.Context, l *connectors.Link, d *graph.Draft) (time.Time, error) {
	client, err := c.client(ctx, l)
	if err != nil {
		return time.Time{}, err
	}
	p := pusher{c: c, client: client, l: l, d: d}
	if d.Type == "Comment" {
		return p.comment(ctx)
	}
	return p.issue(ctx)
}

// pusher carries one draft.
type pusher struct {
	c      *Connector
	client *gh.Client
	l      *connectors.Link
	d      *graph.Draft
}

func (p *pusher) text(field string) string {
	s, _ := p.d.Fields[field].(string)
	return s
}

// repository finds the repository of a Project; nil when it has none.
func (p *pusher) repository(ctx context.Context, project string) (*gh.Repository, error) {
	if project == "" {
		return nil, nil //nolint:nilnil // an Issue of ours alone
	}
	e, err := p.l.Graph.Get(ctx, "Project", project, graph.AsOf{})
	if graph.CodeOf(err) == graph.CodeNotFound {
		if p.d.Current == nil { // it was to become an issue at GitHub
			return nil, fault("project", "there is no Project %s; Project.find lists them", project)
		}
		return nil, nil //nolint:nilnil // likewise
	}
	if err != nil {
		return nil, err
	}
	full := e.Text("githubRepo")
	owner, name, ok := strings.Cut(full, "/")
	id, err := strconv.ParseInt(e.Text(keyID), 10, 64)
	if !ok || err != nil || e.Text(connectors.FieldIntegration) != p.l.ID {
		return nil, nil //nolint:nilerr,nilnil // a Project of ours alone
	}
	return repo{id, owner, name}.github(), nil
}

// issue carries a mutation of an Issue.
func (p *pusher) issue(ctx context.Context) (time.Time, error) {
	r, err := p.repository(ctx, p.text("project"))
	if err != nil || r == nil {
		return time.Time{}, err
	}
	owner, name := r.GetOwner().GetLogin(), r.GetName()
	if p.d.Current == nil {
		req, err := p.request(ctx, r, nil)
		if err != nil {
			return time.Time{}, err
		}
		body := marked(p.text("description"), p.d.EventID)
		req.Body, req.State, req.StateReason = &body, nil, nil
		made, err := p.create(ctx, owner, name, req)
		if err != nil {
			return time.Time{}, err
		}
		return p.answered(r, made), nil
	}
	number, err := strconv.Atoi(p.d.Current.Number("githubNumber").String())
	if err != nil {
		return time.Time{}, nil //nolint:nilerr // an Issue that was never at GitHub
	}
	req, err := p.request(ctx, r, p.d.Current.Fields())
	if err != nil || req == nil {
		return time.Time{}, err
	}
	i, _, err := p.client.Issues.Edit(ctx, owner, name, number, req)
	if err != nil {
		return time.Time{}, explain(p.l, "token", err)
	}
	return p.answered(r, i), nil
}

// create opens an issue. When the answer was lost it looks whether the issue is
// there: GitHub knows no idempotency keys.
func (p *pusher) create(ctx context.Context, owner, name string, req *gh.IssueRequest) (*gh.Issue, error) {
	before := p.l.Clock().Add(-time.Hour)
	made, _, err := p.client.Issues.Create(ctx, owner, name, req)
	if err == nil {
		return made, nil
	}
	cause := explain(p.l, "token", err)
	var temporary *headlessly.Temporary
	if !errors.As(cause, &temporary) || temporary.Throttled {
		return nil, cause
	}
	list, _, err := p.client.Issues.ListByRepo(ctx, owner, name, &gh.IssueListByRepoOptions{State: "all", Sort: "created", Direction: "desc", Since: before, ListOptions: gh.ListOptions{PerPage: perPage}})
	if err != nil {
		return nil, cause
	}
	for _, i := range list {
		if _, event := unmarked(i.GetBody()); event == p.d.EventID {
			return i, nil
		}
	}
	return nil, cause
}

// request is what GitHub is told of an Issue: all of a new one, of another what
// changed; nil when that is nothing that GitHub knows.
func (p *pusher) request(ctx context.Context, r *gh.Repository, now map[string]any) (*gh.IssueRequest, error) {
	req, any := &gh.IssueRequest{}, false
	changed := func(field string) bool {
		is := p.d.Fields[field]
		yes := now == nil && is != nil || now != nil && fmt.Sprint(now[field]) != fmt.Sprint(is)
		any = any || yes
		return yes
	}
	if changed("title") {
		s := p.text("title")
		req.Title = &s
	}
	if changed("description") {
		s := p.text("description")
		req.Body = &s
	}
	if changed("labels") {
		list := []string{}
		labels, _ := p.d.Fields["labels"].([]interface{})
		for _, l := range labels {
			list = append(list, fmt.Sprint(l))
		}
		req.Labels = &list
	}
	if changed("assignee") {
		list := []string{}
		if a := p.text("assignee"); a != "" {
			list = append(list, a)
		}
		req.Assignees = &list
	}
	if changed("milestone") {
		number, err := p.milestone(ctx, r)
		if err != nil {
			return nil, err
		}
		req.Milestone = number
	}
	p.state(req, now, &any)
	if now != nil && !any {
		return nil, nil //nolint:nilnil // nothing for GitHub
	}
	return req, nil
}

// state opens or closes.
func (p *pusher) state(req *gh.IssueRequest, now map[string]any, any *bool) {
	if now == nil || open(now["status"]) == open(p.d.Fields["status"]) && now["status"] == p.d.Fields["status"] {
		return
	}
	state, reason := "open", "reopened"
	switch {
	case p.d.Fields["status"] == statusDone:
		state, reason = "closed", "completed"
	case p.d.Fields["status"] == statusClosed:
		state, reason = "closed", "not_planned"
	case open(now["status"]):
		return // from one open status to another: GitHub knows one
	}
	*any = true
	req.State = &state
	if now["type"] != "PullRequest" {
		req.StateReason = &reason
	}
}

// milestone finds the number of a milestone's title.
func (p *pusher) milestone(ctx context.Context, r *gh.Repository) (*int, error) {
	title := p.text("milestone")
	none := 0
	if title == "" {
		return &none, nil
	}
	for page := 1; page > 0; {
		list, res, err := p.client.Issues.ListMilestones(ctx, r.GetOwner().GetLogin(), r.GetName(), &gh.MilestoneListOptions{State: "all", ListOptions: gh.ListOptions{Page: page, PerPage: perPage}})
		if err != nil {
			return nil, explain(p.l, "token", err)
		}
		for _, m := range list {
			if m.GetTitle() == title {
				return m.Number, nil
			}
		}
		page = res.NextPage
	}
	return nil, &connectors.RefusedError{Field: "milestone", Message: "the repository " + r.GetFullName() + " has no milestone " + strconv.Quote(title), Status: 422}
}

// answered takes over what GitHub made of it.
func (p *pusher) answered(r *gh.Repository, i *gh.Issue) time.Time {
	status := p.d.Fields["status"]
	ch := p.c.issue(p.l, r, i)
	for field, v := range ch.Fields {
		if v == nil {
			delete(p.d.Fields, field)
			continue
		}
		p.d.Fields[field] = v
	}
	// An open issue may have a finer status here than GitHub knows.
	if p.d.Current != nil && p.d.Verb == graph.VerbUpdate && i.GetState() == "open" && status != nil && open(status) {
		p.d.Fields["status"] = status
	}
	p.d.Fields[keyID] = ch.ID
	return ch.At
}

// comment carries a mutation of a Comment.
func (p *pusher) comment(ctx context.Context) (time.Time, error) {
	id := p.text("issue")
	if id == "" {
		return time.Time{}, nil
	}
	issue, err := p.l.Graph.Get(ctx, "Issue", id, graph.AsOf{})
	if graph.CodeOf(err) == graph.CodeNotFound {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	r, err := p.repository(ctx, issue.Text("project"))
	if err != nil || r == nil {
		return time.Time{}, err
	}
	number, err := strconv.Atoi(issue.Number("githubNumber").String())
	if err != nil {
		return time.Time{}, nil //nolint:nilerr // the Issue was never at GitHub
	}
	owner, name := r.GetOwner().GetLogin(), r.GetName()
	if p.d.Current == nil {
		body := marked(p.text("body"), p.d.EventID)
		made, _, err := p.client.Issues.CreateComment(ctx, owner, name, number, &gh.IssueComment{Body: &body})
		if err != nil {
			return time.Time{}, explain(p.l, "token", err)
		}
		return p.commented(r, number, made), nil
	}
	at, err := strconv.ParseInt(p.d.Current.Text(keyID), 10, 64)
	if err != nil {
		return time.Time{}, nil //nolint:nilerr // the Comment was never at GitHub
	}
	if p.d.Verb == graph.VerbDelete {
		if _, err := p.client.Issues.DeleteComment(ctx, owner, name, at); err != nil && !gone(err) {
			return time.Time{}, explain(p.l, "token", err)
		}
		return time.Time{}, nil
	}
	body := p.text("body")
	if body == p.d.Current.Text("body") {
		return time.Time{}, nil
	}
	edited, _, err := p.client.Issues.EditComment(ctx, owner, name, at, &gh.IssueComment{Body: &body})
	if err != nil {
		return time.Time{}, explain(p.l, "token", err)
	}
	return p.commented(r, number, edited), nil
}

func (p *pusher) commented(r *gh.Repository, number int, c *gh.IssueComment) time.Time {
	ch := comment(r, number, c)
	for field, v := range ch.Fields {
		if v != nil {
			p.d.Fields[field] = v
		}
	}
	p.d.Fields[keyID] = ch.ID
	return ch.At
}
