package webhook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/outbox"
	"github.com/headlessly/headlessly/connectors/webhook/signature"
)

// Provider is the provider's name.
const Provider = "webhook"

// Overlap is how long the former secret signs too after a rotation, unless the
// integration says otherwise in overlapHours.
const Overlap = 24 * time.Hour

const maxOverlapHours = 24 * 90

// Connector is the provider "webhook". Safe for concurrent use.
type Connector struct {
	box   *outbox.Box
	check func(ctx context.Context, url string) error

	mu      sync.RWMutex
	senders map[string]*sender // by integration id, for tests by hand
	takers  map[string]*taker
}

// New makes the connector over an outbox. check refuses a URL that may not be
// dialled.
func New(box *outbox.Box, check func(ctx context.Context, url string) error) *Connector {
	return &Connector{box: box, check: check, senders: map[string]*sender{}, takers: map[string]*taker{}}
}

// Kind implements connectors.Connector.
func (c *Connector) Kind() connectors.Kind {
	return connectors.Kind{
		Provider: Provider, Name: "Webhook", Category: "Other", AuthType: "Custom",
		Secrets: []string{"secret", "headers", "webhookSecret"},
		Args:    []string{"url", "events", "timeout", "ordered", "batch", "batchWait", "perSecond", "overlapHours", "inbound"},
		Many:    true, SecretsOptional: true,
	}
}

// Validate implements connectors.Connector.
func (c *Connector) Validate(ctx context.Context, l *connectors.Link) error {
	var errs []error
	in, err := take(l)
	if err != nil {
		errs = append(errs, err)
	}
	switch url := l.Text("url"); {
	case url == "" && l.Fields["inbound"] == nil:
		errs = append(errs, fault("url", "is missing: where to post the events, such as https://example.com/hooks/headlessly; or inbound, to take requests"))
	case url != "":
		if err := c.check(ctx, url); err != nil {
			errs = append(errs, fault("url", "%v", err))
		}
		if _, _, err := endpoint(l); err != nil {
			errs = append(errs, err)
		} else if err := l.CheckEvents(); err != nil {
			errs = append(errs, err)
		}
	}
	if s := l.Secrets["webhookSecret"]; in != nil && s.Set() {
		if _, err := signature.Key(s.Reveal()); err != nil {
			errs = append(errs, fault("webhookSecret", "%v", err))
		}
	}
	if _, err := number(l, "overlapHours", maxOverlapHours); err != nil {
		errs = append(errs, err)
	}
	if s := l.Secrets["secret"]; s.Set() {
		if _, err := signature.Key(s.Reveal()); err != nil {
			errs = append(errs, fault("secret", "%v", err))
		} else if len(s.Reveal()) < minSecret {
			errs = append(errs, fault("secret", "is shorter than %d characters; leave it out to have one made", minSecret))
		}
	}
	return errors.Join(errs...)
}

// Register implements connectors.Registrar: it makes the secret that was left
// out, and keeps the former one for a while when it changes.
func (c *Connector) Register(_ context.Context, l *connectors.Link) error {
	if l.Fields["inbound"] != nil && !l.Secrets["webhookSecret"].Set() {
		l.Secrets["webhookSecret"] = headlessly.NewSecret(signature.NewSecret())
	}
	if l.Text("url") == "" {
		return nil
	}
	if !l.Secrets["secret"].Set() {
		l.Secrets["secret"] = headlessly.NewSecret(signature.NewSecret())
	}
	if l.Before == nil || !l.Before.Secrets["secret"].Set() {
		return nil
	}
	if before := l.Before.Secrets["secret"]; before.Reveal() != l.Secrets["secret"].Reveal() {
		overlap := Overlap
		if hours, err := number(l, "overlapHours", maxOverlapHours); err == nil && l.Fields["overlapHours"] != nil {
			overlap = time.Duration(hours * float64(time.Hour))
		}
		l.Secrets["previousSecret"] = before
		l.Config["previousSecretUntil"] = l.Clock().Add(overlap).UTC().Format(time.RFC3339)
	}
	return nil
}

// Disconnect implements connectors.Connector: what waits is parked, and can be
// read in the delivery log.
func (c *Connector) Disconnect(ctx context.Context, l *connectors.Link) error {
	return c.box.Remove(ctx, l.Tenant, l.ID)
}

// Attach implements connectors.Attacher.
func (c *Connector) Attach(ctx context.Context, l *connectors.Link) (func(), error) {
	in, err := take(l)
	if err != nil {
		return nil, err
	}
	var s *sender
	if l.Text("url") != "" {
		var e outbox.Endpoint
		if e, s, err = endpoint(l); err != nil {
			return nil, err
		}
		e.From, e.Health = outbox.Beginning(ctx, l), outbox.Health(ctx, l)
		if err := c.box.Put(ctx, e); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.senders[l.ID], c.takers[l.ID] = s, in
	return func() {
		c.box.Detach(l.Tenant, l.ID)
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.senders, l.ID)
		delete(c.takers, l.ID)
	}, nil
}

// taker gives what an integration takes; nil for one that takes nothing.
func (c *Connector) taker(l *connectors.Link) *taker {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.takers[l.ID]
}

// ErrNotConnected means that an integration is not connected, or no webhook.
var ErrNotConnected = errors.New("the webhook is not connected")

// Secrets gives what an integration signs with, for the one who sets up the
// receiver, and what it verifies with, for the one who sets up the sender. What
// it does not have is not set.
func (c *Connector) Secrets(id string) (signs, verifies headlessly.Secret) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if s := c.senders[id]; s != nil {
		signs = s.secret
	}
	if t := c.takers[id]; t != nil {
		verifies = t.secret
	}
	return signs, verifies
}

// Tested is what came of a test.
type Tested struct {
	Delivered  bool   `json:"delivered"`
	ID         string `json:"id"`
	Status     int    `json:"status,omitempty"`
	DurationMs int64  `json:"durationMs"`
	Answer     string `json:"answer,omitempty"`
	Error      string `json:"error,omitempty"`
}

// TestEvent is the name of the event that a test posts.
const TestEvent = "Webhook.Test"

// Test posts an event to an endpoint, once and at once, signed like any other.
func (c *Connector) Test(ctx context.Context, tenant, id string) (Tested, error) {
	s := c.sender(id)
	if s == nil {
		return Tested{}, ErrNotConnected
	}
	start := s.clock()
	event := "evt_test" + fmt.Sprint(start.UnixMicro())
	body := fmt.Appendf(nil, `{"id":%q,"event":%q,"timestamp":%q,"tenant":%q,"data":{"message":"This is a test from headlessly."}}`,
		event, TestEvent, graph.FormatTime(start.UnixMicro()), tenant)
	if s.batch {
		body = fmt.Appendf(nil, `{"events":[%s]}`, body)
	}
	ctx, cancel := context.WithTimeout(ctx, outbox.DefaultTimeout)
	defer cancel()
	answer, err := s.post(ctx, event, body)
	t := Tested{Delivered: err == nil, ID: event, Status: answer.Status, DurationMs: s.clock().Sub(start).Milliseconds(), Answer: answer.Note}
	if err != nil {
		t.Error = err.Error()
	}
	return t, nil
}

func (c *Connector) sender(id string) *sender {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.senders[id]
}
