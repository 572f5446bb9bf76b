package github

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v89/github"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
)

const (
	hooksField   = "hooks"        // of the link's Config: the webhooks' numbers by repository
	hooksRefused = "hooksRefused" // the repositories where there may be none
)

func events() []string { return []string{"issues", "issue_comment", "pull_request", "repository"} }

// Register implements connectors.Registrar: a webhook at each repository. One
// that may not be registered is noted; the periodic sync brings its changes.
func (c *Connector) Register(ctx context.Context, l *connectors.Link) error {
	if !l.Secrets["webhookSecret"].Set() {
		secret := make([]byte, 32)
		_, _ = rand.Read(secret) // it never fails
		l.Secrets["webhookSecret"] = headlessly.NewSecret(hex.EncodeToString(secret))
	}
	if !l.Secrets["token"].Set() {
		l.Config["webhook"] = "set the App's webhook URL to " + l.InboundURL + " and its secret to webhookSecret"
		return nil
	}
	client, err := c.client(ctx, l)
	if err != nil {
		return err
	}
	hooks, refused := map[string]any{}, []any{}
	if before, ok := l.Config[hooksField].(map[string]any); ok {
		hooks = maps.Clone(before)
	}
	for page := 1; page > 0; {
		list, _, next, err := c.all(ctx, client, l, page) // one that cannot be read the sync tells of
		if err != nil {
			return err
		}
		for _, r := range list {
			id, err := register(ctx, client, l, r)
			var may *connectors.CredentialError
			switch {
			case errors.As(err, &may), gone(err):
				refused = append(refused, r.GetFullName())
			case err != nil:
				return err
			default:
				hooks[r.GetFullName()] = strconv.FormatInt(id, 10)
			}
		}
		page = next
	}
	l.Config[hooksField] = hooks
	if delete(l.Config, hooksRefused); len(refused) > 0 {
		l.Config[hooksRefused] = refused
	}
	return nil
}

// register makes a repository's webhook, or changes the one that is there.
func register(ctx context.Context, client *gh.Client, l *connectors.Link, r *gh.Repository) (int64, error) {
	owner, name := r.GetOwner().GetLogin(), r.GetName()
	json, off, on, web, secret := "json", "0", true, "web", l.Secrets["webhookSecret"].Reveal()
	want := &gh.Hook{Name: &web, Active: &on, Events: events(), Config: &gh.HookConfig{ContentType: &json, InsecureSSL: &off, URL: &l.InboundURL, Secret: &secret}}
	existing, _, err := client.Repositories.ListHooks(ctx, owner, name, &gh.ListOptions{PerPage: perPage})
	if gone(err) {
		return 0, err
	}
	if err != nil {
		return 0, explain(l, "token", err)
	}
	for _, h := range existing {
		if h.GetConfig().GetURL() == l.InboundURL {
			_, _, err := client.Repositories.EditHook(ctx, owner, name, h.GetID(), want)
			return h.GetID(), explain(l, "token", err)
		}
	}
	made, _, err := client.Repositories.CreateHook(ctx, owner, name, want)
	if err != nil {
		if gone(err) {
			return 0, err
		}
		return 0, explain(l, "token", err)
	}
	return made.GetID(), nil
}

// hooks are the webhooks that were registered.
func hooks(l *connectors.Link) map[string]int64 {
	out := map[string]int64{}
	list, _ := l.Config[hooksField].(map[string]any)
	for repo, v := range list {
		if id, err := strconv.ParseInt(fmt.Sprint(v), 10, 64); err == nil {
			out[repo] = id
		}
	}
	return out
}

// Disconnect implements connectors.Connector: it deletes the webhooks.
func (c *Connector) Disconnect(ctx context.Context, l *connectors.Link) error {
	list := hooks(l)
	if len(list) == 0 {
		return nil
	}
	client, err := c.client(ctx, l)
	if err != nil {
		return err
	}
	var errs []error
	for _, full := range slices.Sorted(maps.Keys(list)) {
		owner, name, _ := strings.Cut(full, "/")
		if _, err := client.Repositories.DeleteHook(ctx, owner, name, list[full]); err != nil && !gone(err) {
			errs = append(errs, fmt.Errorf("webhook of %s: %w", full, explain(l, "token", err)))
		}
	}
	return errors.Join(errs...)
}

var errSignature = errors.New("X-Hub-Signature-256 is missing or does not match")

// Verify implements connectors.Receiver. A SHA-1 signature does not count.
func (c *Connector) Verify(l *connectors.Link, r *headlessly.Receipt) error {
	secret := l.Secrets["webhookSecret"]
	if !secret.Set() {
		return connectors.ErrNoSecret
	}
	text, ok := strings.CutPrefix(r.Header("X-Hub-Signature-256"), "sha256=")
	got, err := hex.DecodeString(text)
	if !ok || err != nil {
		return errSignature
	}
	m := hmac.New(sha256.New, []byte(secret.Reveal()))
	m.Write(r.Body)
	if !hmac.Equal(got, m.Sum(nil)) {
		return errSignature
	}
	return nil
}

// Read implements connectors.Receiver.
func (c *Connector) Read(_ context.Context, l *connectors.Link, r *headlessly.Receipt) (connectors.Delivery, error) {
	d := connectors.Delivery{ID: r.Header("X-GitHub-Delivery")}
	event := r.Header("X-GitHub-Event")
	if !slices.Contains(events(), event) {
		return d, nil
	}
	parsed, err := gh.ParseWebHook(event, r.Body)
	if err != nil {
		return d, &headlessly.FieldError{Code: "validation_failed", Field: "body", Message: "is no payload of the event " + event + ": " + err.Error()}
	}
	d.Changes = c.changes(l, parsed, headlessly.Time(r.ReceivedAt))
	return d, nil
}

// changes maps a payload.
func (c *Connector) changes(l *connectors.Link, parsed any, now time.Time) []connectors.Change {
	gone := func(typ, id string) []connectors.Change {
		return []connectors.Change{{Type: typ, Key: keyID, ID: id, Gone: true, At: now}}
	}
	switch e := parsed.(type) {
	case *gh.IssuesEvent:
		if !wants(l, e.GetRepo().GetFullName()) || e.GetIssue().GetNumber() == 0 {
			return nil
		}
		switch e.GetAction() {
		case "deleted", "transferred":
			return gone("Issue", issueID(e.GetRepo().GetID(), e.GetIssue().GetNumber()))
		}
		ch := c.issue(l, e.GetRepo(), e.GetIssue())
		ch.Fresh = e.GetAction() == "opened"
		return []connectors.Change{ch}
	case *gh.PullRequestEvent:
		if !wants(l, e.GetRepo().GetFullName()) || e.GetPullRequest().GetNumber() == 0 {
			return nil
		}
		ch := c.pull(l, e.GetRepo(), e.GetPullRequest())
		ch.Fresh = e.GetAction() == "opened"
		return []connectors.Change{ch}
	case *gh.IssueCommentEvent:
		if !wants(l, e.GetRepo().GetFullName()) || e.GetComment().GetID() == 0 {
			return nil
		}
		if e.GetAction() == "deleted" {
			return gone("Comment", strconv.FormatInt(e.GetComment().GetID(), 10))
		}
		ch := comment(e.GetRepo(), e.GetIssue().GetNumber(), e.GetComment())
		ch.Fresh = e.GetAction() == "created"
		return []connectors.Change{ch}
	case *gh.RepositoryEvent:
		if e.GetAction() == "deleted" {
			return gone("Project", strconv.FormatInt(e.GetRepo().GetID(), 10))
		}
		if wants(l, e.GetRepo().GetFullName()) {
			return []connectors.Change{project(e.GetRepo())}
		}
	}
	return nil
}

// redeliver asks for the deliveries of a webhook that failed since a time, and
// of which no later attempt succeeded.
func redeliver(ctx context.Context, client *gh.Client, l *connectors.Link, full string, hook int64, since time.Time) error {
	owner, name, _ := strings.Cut(full, "/")
	opts := &gh.ListCursorOptions{PerPage: perPage}
	done := map[string]bool{}
	failed := map[string]int64{}
	var order []string
	for { // GitHub keeps three days
		list, res, err := client.Repositories.ListHookDeliveries(ctx, owner, name, hook, opts)
		if gone(err) {
			return nil
		}
		if err != nil {
			return explain(l, "token", err)
		}
		old := false
		for _, d := range list {
			old = old || d.GetDeliveredAt().Before(since)
			switch code := d.GetStatusCode(); {
			case code/100 == 2:
				done[d.GetGUID()] = true
			case !d.GetDeliveredAt().Before(since):
				if _, known := failed[d.GetGUID()]; !known {
					order = append(order, d.GetGUID())
				}
				failed[d.GetGUID()] = d.GetID()
			}
		}
		if old || res.Cursor == "" || res.Cursor == opts.Cursor {
			break
		}
		opts.Cursor = res.Cursor
	}
	slices.Reverse(order) // oldest first
	for _, guid := range order {
		if done[guid] {
			continue
		}
		_, _, err := client.Repositories.RedeliverHookDelivery(ctx, owner, name, hook, failed[guid])
		var accepted *gh.AcceptedError
		if err != nil && !errors.As(err, &accepted) && !gone(err) {
			return explain(l, "token", err)
		}
	}
	return nil
}

// unmarshal reads a cursor.
func unmarshal(raw json.RawMessage, v any) error {
	if len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, v)
}
