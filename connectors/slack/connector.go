package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/outbox"
)

// Provider is the provider's name.
const Provider = "slack"

const (
	// atOnce is how many events one message holds.
	atOnce       = 20
	maxTemplates = 100
	maxAnswer    = 4 << 10
)

// defaultEvents are posted when connect names none: what people want to hear
// of.
func defaultEvents() []string {
	return []string{
		"Deal.Closed", "Deal.Won", "Deal.Lost", "Subscription.Created", "Subscription.Cancelled", "Subscription.Upgraded", "Subscription.Downgraded",
		"Payment.Refunded", "Ticket.Escalated", "Issue.Completed", "Integration.Connected", "Integration.Errored", "Integration.Recovered",
	}
}

// Connector is the provider "slack". Safe for concurrent use.
type Connector struct {
	box   *outbox.Box
	check func(ctx context.Context, url string) error

	mu      sync.Mutex
	senders map[string]*sender // by integration id, for tests by hand
}

// New makes the connector over an outbox. check refuses a URL that may not be
// dialled.
func New(box *outbox.Box, check func(ctx context.Context, url string) error) *Connector {
	return &Connector{box: box, check: check, senders: map[string]*sender{}}
}

// Kind implements connectors.Connector.
func (c *Connector) Kind() connectors.Kind {
	return connectors.Kind{
		Provider: Provider, Name: "Slack", Category: "Communication", AuthType: "ApiKey", URL: "https://slack.com",
		Secrets: []string{"webhook"}, Args: []string{"events", "templates", "apiBaseUrl"}, Many: true,
	}
}

func fault(field, format string, args ...any) error {
	return &headlessly.FieldError{Code: "validation_failed", Field: field, Message: fmt.Sprintf(format, args...)}
}

// Validate implements connectors.Connector.
func (c *Connector) Validate(ctx context.Context, l *connectors.Link) error {
	if err := c.address(ctx, l); err != nil {
		return err
	}
	e, s, err := endpoint(l)
	if err != nil {
		return err
	}
	if err := l.CheckEvents(); err != nil {
		return err
	}
	l.Fields["events"] = anys(e.Events)
	return s.try(ctx)
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// address checks that the webhook is one of Slack's, or below apiBaseUrl.
func (c *Connector) address(ctx context.Context, l *connectors.Link) error {
	hook := l.Secrets["webhook"].Reveal()
	if hook == "" {
		return fault("webhook", "is missing: the incoming webhook's URL, https://hooks.slack.com/services/…")
	}
	u, err := url.Parse(hook)
	if err != nil || u.Host == "" {
		return fault("webhook", "is no URL; copy it from the Slack app's page Incoming Webhooks")
	}
	base := l.Text("apiBaseUrl")
	if base == "" && u.Host != "hooks.slack.com" && u.Host != "hooks.slack-gov.com" {
		return fault("webhook", "is not on hooks.slack.com; name another server in apiBaseUrl")
	}
	if base != "" && !strings.HasPrefix(hook, strings.TrimRight(base, "/")+"/") {
		return fault("webhook", "is not below apiBaseUrl")
	}
	if !strings.HasPrefix(u.Path, "/services/") && base == "" {
		return fault("webhook", "is no incoming webhook: its path starts with /services/")
	}
	if err := c.check(ctx, hook); err != nil {
		return fault("webhook", "%v", err)
	}
	return nil
}

// endpoint reads an integration's settings.
func endpoint(l *connectors.Link) (outbox.Endpoint, *sender, error) {
	s := &sender{hook: l.Secrets["webhook"], client: l.Client, clock: l.Clock}
	e := outbox.Endpoint{
		Tenant: l.Tenant, ID: l.ID, Provider: Provider, Events: l.List("events"), Sender: s,
		// One a second by Slack's rules, and a little slower, for the network
		// does not keep distances; what gathers goes into one message.
		PerSecond: 0.9, InFlight: 1, Batch: atOnce,
	}
	if len(e.Events) == 0 {
		e.Events = defaultEvents()
	}
	for i, p := range e.Events {
		if _, _, ok := strings.Cut(p, "."); p != "*" && !ok {
			return e, nil, fault(fmt.Sprintf("events[%d]", i), "%q is no pattern; write Deal.Closed, Deal.*, *.Created or *", p)
		}
	}
	switch t := l.Fields["templates"].(type) {
	case nil:
	case map[string]any:
		if len(t) > maxTemplates {
			return e, nil, fault("templates", "holds %d templates, at most %d go", len(t), maxTemplates)
		}
		s.templates = map[string]string{}
		for name, v := range t {
			line, ok := v.(string)
			if !ok || line == "" || len(line) > maxText {
				return e, nil, fault("templates", "%s: want a text of up to %d characters, such as *{{name}}* closed", name, maxText)
			}
			s.templates[name] = line
		}
	default:
		return e, nil, fault("templates", `want an object such as {"Deal.Closed":"*{{name}}* closed"}`)
	}
	return e, s, nil
}

// Disconnect implements connectors.Connector. The webhook itself can be taken
// away in Slack only.
func (c *Connector) Disconnect(ctx context.Context, l *connectors.Link) error {
	return c.box.Remove(ctx, l.Tenant, l.ID)
}

// Attach implements connectors.Attacher.
func (c *Connector) Attach(ctx context.Context, l *connectors.Link) (func(), error) {
	e, s, err := endpoint(l)
	if err != nil {
		return nil, err
	}
	e.From, e.Health = outbox.Beginning(ctx, l), outbox.Health(ctx, l)
	if err := c.box.Put(ctx, e); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.senders[l.ID] = s
	return func() {
		c.box.Detach(l.Tenant, l.ID)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.senders[l.ID] == s {
			delete(c.senders, l.ID)
		}
	}, nil
}

// ErrNotConnected means that an integration is not connected, or not to Slack.
var ErrNotConnected = errors.New("the integration is not connected to Slack")

// Test posts a message, once and at once.
func (c *Connector) Test(ctx context.Context, id string) error {
	c.mu.Lock()
	s := c.senders[id]
	c.mu.Unlock()
	if s == nil {
		return ErrNotConnected
	}
	m := message{Text: "headlessly is connected to this channel.", Blocks: []block{section(":wave: *headlessly* is connected to this channel. Events will show up here.")}}
	_, err := s.post(ctx, m)
	return err
}

// sender posts to one webhook.
type sender struct {
	hook      headlessly.Secret
	templates map[string]string
	client    *http.Client
	clock     headlessly.Clock
}

// Send implements outbox.Sender.
func (s *sender) Send(ctx context.Context, events []*graph.Happened) (outbox.Answer, error) {
	return s.post(ctx, compose(events, s.templates))
}

// try asks Slack about a message without text: a webhook that works refuses it
// for that, and posts nothing.
func (s *sender) try(ctx context.Context) error {
	a, err := s.post(ctx, message{})
	switch {
	case a.Status == http.StatusBadRequest && !dead(a.Note), a.Status == http.StatusOK, a.Status == http.StatusTooManyRequests:
		return nil
	case a.Status == http.StatusBadRequest, errors.Is(err, outbox.ErrGone):
		return &connectors.CredentialError{Field: "webhook", Message: fmt.Sprintf("Slack does not take this webhook (%d %s): make a new one on the Slack app's page Incoming Webhooks", a.Status, a.Note)}
	}
	return err
}

// dead says whether Slack's word means that the webhook is of no use.
func dead(word string) bool {
	switch word {
	case "no_service", "no_service_id", "no_team", "team_disabled", "invalid_token", "no_active_hooks", "action_prohibited", "channel_not_found", "channel_is_archived", "user_not_found":
		return true
	}
	return false
}

func (s *sender) post(ctx context.Context, m message) (outbox.Answer, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return outbox.Answer{}, &headlessly.Permanent{Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.hook.Reveal(), bytes.NewReader(body))
	if err != nil {
		return outbox.Answer{}, &headlessly.Permanent{Err: errors.New("the webhook's URL cannot be read")}
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		var u *url.Error // it names the URL, which is the credential
		for errors.As(err, &u) {
			err = u.Err
		}
		return outbox.Answer{}, fmt.Errorf("slack cannot be reached: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer)) // the status says what counts
	a := outbox.Answer{Status: res.StatusCode, Note: cut(strings.ReplaceAll(strings.TrimSpace(string(raw)), s.hook.Reveal(), "[redacted]"), 200)}
	answered := fmt.Errorf("slack answered %d %s", a.Status, a.Note)
	switch {
	case a.Status == http.StatusOK:
		return a, nil
	case a.Status == http.StatusTooManyRequests:
		after, err := strconv.Atoi(strings.TrimSpace(res.Header.Get("Retry-After")))
		if err != nil || after < 1 || after > 3600 {
			after = 30
		}
		return a, &headlessly.Temporary{After: time.Duration(after) * time.Second, Throttled: true, Err: answered}
	case a.Status >= 500, a.Status == http.StatusRequestTimeout:
		return a, &headlessly.Temporary{Err: answered}
	case dead(a.Note), a.Status == http.StatusForbidden, a.Status == http.StatusNotFound, a.Status == http.StatusGone:
		return a, fmt.Errorf("%w: %w", answered, outbox.ErrGone)
	}
	return a, &headlessly.Permanent{Status: a.Status, Err: answered}
}
