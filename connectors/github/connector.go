package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	gh "github.com/google/go-github/v89/github"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
)

// Provider is the provider's name.
const Provider = "github"

// syncEvery is how often changes and failed deliveries are asked for.
const syncEvery = 10 * time.Minute

// maxRepos bounds the repositories that connect names.
const maxRepos = 500

// Connector is the provider "github". Safe for concurrent use.
type Connector struct {
	answers *lru.Cache[string, remembered]

	mu     sync.Mutex
	tokens map[string]token // of installations
}

// New makes the connector.
func New() *Connector {
	answers, err := lru.New[string, remembered](rememberAnswers)
	if err != nil {
		panic(err) // the size is a constant
	}
	return &Connector{answers: answers, tokens: map[string]token{}}
}

// Kind implements connectors.Connector.
func (c *Connector) Kind() connectors.Kind {
	return connectors.Kind{
		Provider: Provider, Name: "GitHub", Category: "Other", AuthType: "ApiKey", URL: "https://github.com",
		Secrets: []string{"token", "webhookSecret", "privateKey"}, Args: []string{"owner", "repos", "apiBaseUrl", "appId", "installationId"},
		Verbs: map[string][]string{
			"Issue":   {"create", "update", "assign", "complete", "close", "reopen"},
			"Comment": {"create", "update", "delete"},
		},
		SyncEvery: syncEvery,
	}
}

func fault(field, format string, args ...any) error {
	return &headlessly.FieldError{Code: "validation_failed", Field: field, Message: fmt.Sprintf(format, args...)}
}

// repos are the repositories that connect names, as owner/name.
func repos(l *connectors.Link) ([]string, error) {
	owner := l.Text("owner")
	if v := l.Fields["owner"]; v != nil && owner == "" && v != "" {
		return nil, fault("owner", "must be a text: the user's or organisation's name")
	}
	var out []string
	switch v := l.Fields["repos"].(type) {
	case nil, string:
	case []any: // one that is passed over would let all others in
		for i, r := range v {
			if _, ok := r.(string); !ok {
				return nil, fault(fmt.Sprintf("repos[%d]", i), "must be a text: write owner/name")
			}
		}
	default:
		return nil, fault("repos", "must be a list such as [\"owner/name\"]")
	}
	for i, r := range l.List("repos") {
		if !strings.Contains(r, "/") && owner != "" {
			r = owner + "/" + r
		}
		if o, name, ok := strings.Cut(r, "/"); !ok || o == "" || name == "" || strings.ContainsAny(r, " ?#%") || strings.Count(r, "/") != 1 {
			return nil, fault(fmt.Sprintf("repos[%d]", i), "%q: write owner/name", r)
		}
		out = append(out, r)
	}
	if len(out) > maxRepos {
		return nil, fault("repos", "names %d repositories, at most %d go; name their owner instead", len(out), maxRepos)
	}
	return out, nil
}

// wants says whether a repository is one of the integration's.
func wants(l *connectors.Link, fullName string) bool {
	named, _ := repos(l)
	if len(named) > 0 {
		return slices.ContainsFunc(named, func(r string) bool { return strings.EqualFold(r, fullName) })
	}
	owner, _, _ := strings.Cut(fullName, "/")
	return l.Text("owner") == "" || strings.EqualFold(l.Text("owner"), owner)
}

// Validate implements connectors.Connector.
func (c *Connector) Validate(ctx context.Context, l *connectors.Link) error {
	named, err := repos(l)
	if err != nil {
		return err
	}
	if !l.Secrets["token"].Set() && !l.Secrets["privateKey"].Set() {
		return fault("token", "is missing: a GitHub token, or for an App appId, installationId and credentials with its privateKey")
	}
	client, err := c.client(ctx, l)
	if err != nil {
		return err
	}
	if l.Secrets["token"].Set() {
		user, res, err := client.Users.Get(ctx, "")
		if err != nil {
			return explain(l, "token", err)
		}
		l.Config["login"] = user.GetLogin()
		if header, classic := res.Header["X-Oauth-Scopes"]; classic { // fine-grained tokens have none
			scopes := strings.Split(strings.ReplaceAll(strings.Join(header, ","), " ", ""), ",")
			if !slices.Contains(scopes, "repo") && !slices.Contains(scopes, "public_repo") {
				return &connectors.CredentialError{Field: "token", Message: "the token cannot read and write issues", Missing: []string{"repo"}}
			}
		}
	}
	for i, full := range named {
		owner, name, _ := strings.Cut(full, "/")
		if _, res, err := client.Repositories.Get(ctx, owner, name); err != nil {
			if res != nil && res.StatusCode == http.StatusNotFound {
				return &connectors.CredentialError{Field: fmt.Sprintf("repos[%d]", i), Message: "GitHub shows no repository " + full + " to this credential"}
			}
			return explain(l, "token", err)
		}
	}
	if len(named) == 0 && l.Secrets["token"].Set() && l.Text("owner") != "" {
		if _, res, err := client.Users.Get(ctx, l.Text("owner")); err != nil {
			if res != nil && res.StatusCode == http.StatusNotFound {
				return fault("owner", "there is no user or organisation %q at GitHub", l.Text("owner"))
			}
			return explain(l, "token", err)
		}
	}
	return nil
}

// all lists a page of the integration's repositories, and those that cannot be
// read; next is 0 after the last.
func (c *Connector) all(ctx context.Context, client *gh.Client, l *connectors.Link, page int) (found []*gh.Repository, odd []error, next int, err error) {
	named, err := repos(l)
	if err != nil {
		return nil, nil, 0, err
	}
	if len(named) > 0 {
		at := page - 1
		if at >= len(named) {
			return nil, nil, 0, nil
		}
		owner, name, _ := strings.Cut(named[at], "/")
		r, _, err := client.Repositories.Get(ctx, owner, name)
		if page < len(named) {
			next = page + 1
		}
		if gone(err) { // the others go on
			missing := fmt.Errorf("GitHub shows no repository %s to this credential any more; connect again with the repositories that there are", named[at])
			return nil, []error{&headlessly.Permanent{Status: http.StatusNotFound, Err: missing}}, next, nil
		}
		if err != nil {
			return nil, nil, 0, explain(l, "token", err)
		}
		return []*gh.Repository{r}, nil, next, nil
	}
	path, q := "user/repos", url.Values{"sort": {"full_name"}}
	var of rawList
	if !l.Secrets["token"].Set() {
		path, of = "installation/repositories", &installed{}
	}
	p, err := list[gh.Repository](ctx, client, path, q, page, of)
	if err != nil {
		return nil, nil, 0, explain(l, "token", err)
	}
	found = slices.DeleteFunc(p.items, func(r *gh.Repository) bool { return !wants(l, r.GetFullName()) })
	return found, p.odd, p.next, nil
}

// gone says whether an error means that what was asked for is not there.
func gone(err error) bool {
	var answer *gh.ErrorResponse
	return errors.As(err, &answer) && answer.Response != nil && (answer.Response.StatusCode == http.StatusNotFound || answer.Response.StatusCode == http.StatusGone)
}
