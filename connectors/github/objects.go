package github

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	gh "github.com/google/go-github/v89/github"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

const keyID = "githubId"

// Statuses of an Issue.
const (
	statusTodo       = "Todo"
	statusInProgress = "InProgress"
	statusReview     = "Review"
	statusDone       = "Done"
	statusClosed     = "Closed"
)

// mark finds the id of our event in a text of ours.
var mark = regexp.MustCompile(`\s*<!-- headlessly:(evt_[A-Za-z0-9]+) -->\s*$`)

// marked adds an event's id to a text, where GitHub does not show it.
func marked(text, event string) string { return text + "\n\n<!-- headlessly:" + event + " -->" }

// unmarked takes it off again.
func unmarked(text string) (plain, event string) {
	if m := mark.FindStringSubmatch(text); m != nil {
		return strings.TrimSuffix(text, m[0]), m[1]
	}
	return text, ""
}

func issueID(repo int64, number int) string {
	return strconv.FormatInt(repo, 10) + "/" + strconv.Itoa(number)
}

// orNil leaves a field out that has nothing.
func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func when(t gh.Timestamp) any {
	if t.IsZero() {
		return nil
	}
	return graph.FormatTime(t.UnixMicro())
}

// project is a repository's state.
func project(r *gh.Repository) connectors.Change {
	status, visibility := "Active", "public"
	if r.GetArchived() {
		status = "Archived"
	}
	if r.GetPrivate() {
		visibility = "private"
	}
	if r.GetVisibility() != "" {
		visibility = r.GetVisibility()
	}
	tags := []any{}
	for _, t := range r.Topics {
		tags = append(tags, t)
	}
	return connectors.Change{
		Type: "Project", Key: keyID, ID: strconv.FormatInt(r.GetID(), 10), At: r.GetUpdatedAt().Time,
		Fields: map[string]any{
			"name": r.GetName(), "githubRepo": r.GetFullName(), "description": orNil(r.GetDescription()), "status": status, "visibility": visibility,
			"owner": orNil(r.GetOwner().GetLogin()), "tags": tags, "url": orNil(r.GetHTMLURL()), "startDate": when(r.GetCreatedAt()),
		},
		Steps: func(now, after map[string]any) []connectors.Step {
			switch {
			case now == nil || now["status"] == after["status"]:
				return nil
			case after["status"] == "Archived":
				return []connectors.Step{{Verb: "archive", Fields: []string{"status"}}}
			}
			return []connectors.Step{{Verb: "activate", Fields: []string{"status"}}}
		},
	}
}

// issue is an issue's state; one that is a pull request may come by it too.
func (c *Connector) issue(l *connectors.Link, repo *gh.Repository, i *gh.Issue) connectors.Change {
	text, event := unmarked(i.GetBody())
	fields := map[string]any{
		"title": i.GetTitle(), "description": orNil(text), "status": issueStatus(i), "githubNumber": i.GetNumber(), "url": orNil(i.GetHTMLURL()),
		"assignee": orNil(i.GetAssignee().GetLogin()), "reporter": orNil(i.GetUser().GetLogin()), "labels": labels(i.Labels), "milestone": orNil(i.GetMilestone().GetTitle()),
		"dueDate": nil,
	}
	if due := i.GetMilestone().GetDueOn(); !due.IsZero() {
		fields["dueDate"] = when(due)
	}
	typed(fields, i.Labels, i.IsPullRequest())
	return c.change(l, repo, i.GetNumber(), fields, i.GetCreatedAt(), i.GetUpdatedAt(), event)
}

// pull is a pull request's state.
func (c *Connector) pull(l *connectors.Link, repo *gh.Repository, p *gh.PullRequest) connectors.Change {
	text, event := unmarked(p.GetBody())
	status := statusInProgress
	switch {
	case p.GetMerged() || !p.GetMergedAt().IsZero():
		status = statusDone
	case p.GetState() == "closed":
		status = statusClosed
	case len(p.RequestedReviewers)+len(p.RequestedTeams) > 0:
		status = statusReview
	}
	fields := map[string]any{
		"title": p.GetTitle(), "description": orNil(text), "status": status, "githubNumber": p.GetNumber(), "url": orNil(p.GetHTMLURL()),
		"assignee": orNil(p.GetAssignee().GetLogin()), "reporter": orNil(p.GetUser().GetLogin()), "labels": labels(p.Labels), "milestone": orNil(p.GetMilestone().GetTitle()),
	}
	typed(fields, nil, true)
	return c.change(l, repo, p.GetNumber(), fields, p.GetCreatedAt(), p.GetUpdatedAt(), event)
}

func (c *Connector) change(l *connectors.Link, repo *gh.Repository, number int, fields map[string]any, made, at gh.Timestamp, event string) connectors.Change {
	owner, name := repo.GetOwner().GetLogin(), repo.GetName()
	return connectors.Change{
		Type: "Issue", Key: keyID, ID: issueID(repo.GetID(), number), Fields: fields, At: at.Time, Origin: event, Made: made.Time, Steps: issueSteps,
		Refs: map[string]connectors.Ref{"project": {Type: "Project", Key: keyID, ID: strconv.FormatInt(repo.GetID(), 10)}},
		Again: func(ctx context.Context) (connectors.Change, error) {
			return c.again(ctx, l, repo, owner, name, number)
		},
	}
}

// again reads an issue or pull request anew.
func (c *Connector) again(ctx context.Context, l *connectors.Link, repo *gh.Repository, owner, name string, number int) (connectors.Change, error) {
	client, err := c.client(ctx, l)
	if err != nil {
		return connectors.Change{}, err
	}
	i, res, err := client.Issues.Get(ctx, owner, name, number)
	if res != nil && (res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusGone) {
		return connectors.Change{Type: "Issue", Key: keyID, ID: issueID(repo.GetID(), number), Gone: true, At: l.Clock()}, nil
	}
	if err != nil {
		return connectors.Change{}, explain(l, "token", err)
	}
	if !i.IsPullRequest() {
		return c.issue(l, repo, i), nil
	}
	p, _, err := client.PullRequests.Get(ctx, owner, name, number)
	if err != nil {
		return connectors.Change{}, explain(l, "token", err)
	}
	return c.pull(l, repo, p), nil
}

func issueStatus(i *gh.Issue) string {
	pr := i.IsPullRequest()
	switch {
	case i.GetState() == "closed" && pr && i.GetPullRequestLinks().GetMergedAt().IsZero():
		return statusClosed
	case i.GetState() == "closed" && !pr && (i.GetStateReason() == "not_planned" || i.GetStateReason() == "duplicate"):
		return statusClosed
	case i.GetState() == "closed":
		return statusDone
	case pr, i.GetAssignee().GetLogin() != "":
		return statusInProgress
	}
	return statusTodo
}

// typed says what kind of Issue it is, where that shows.
func typed(fields map[string]any, list []*gh.Label, pull bool) {
	if pull {
		fields["type"] = "PullRequest"
		return
	}
	for _, l := range list {
		switch strings.ToLower(l.GetName()) {
		case "bug":
			fields["type"] = "Bug"
		case "enhancement", "feature":
			fields["type"] = "Feature"
		}
	}
}

func labels(list []*gh.Label) any {
	out := []any{}
	for _, l := range list {
		out = append(out, l.GetName())
	}
	return out
}

// open says whether an Issue's status stands for an open issue at GitHub.
func open(status any) bool { return status != statusDone && status != statusClosed }

// issueSteps are the verbs among a change.
func issueSteps(now, after map[string]any) []connectors.Step {
	if now == nil {
		return nil
	}
	was, is := now["status"], after["status"]
	var steps []connectors.Step
	switch {
	case was == is:
	case is == statusDone:
		steps = append(steps, connectors.Step{Verb: "complete", Fields: []string{"status"}})
	case is == statusClosed:
		steps = append(steps, connectors.Step{Verb: "close", Fields: []string{"status"}})
	case !open(was):
		steps = append(steps, connectors.Step{Verb: "reopen", Fields: []string{"status"}})
	}
	if a := after["assignee"]; a != nil && a != now["assignee"] {
		step := connectors.Step{Verb: "assign", Fields: []string{"assignee"}}
		if len(steps) == 0 && was != is {
			step.Fields = append(step.Fields, "status")
		}
		steps = append(steps, step)
	}
	return steps
}

// comment is a comment's state.
func comment(repo *gh.Repository, number int, c *gh.IssueComment) connectors.Change {
	text, event := unmarked(c.GetBody())
	if text == "" {
		text = " " // a body is wanted
	}
	return connectors.Change{
		Type: "Comment", Key: keyID, ID: strconv.FormatInt(c.GetID(), 10), At: c.GetUpdatedAt().Time, Origin: event, Made: c.GetCreatedAt().Time,
		Fields: map[string]any{"body": text, "author": orNil(c.GetUser().GetLogin()), "url": orNil(c.GetHTMLURL())},
		Refs:   map[string]connectors.Ref{"issue": {Type: "Issue", Key: keyID, ID: issueID(repo.GetID(), number)}},
	}
}
