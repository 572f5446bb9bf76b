package connectors

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
)

// Link is one integration as its connector works with it: a snapshot, which
// never changes once the integration is connected.
type Link struct {
	Tenant, ID string
	// Fields are the integration's own: url, events, destinations, apiBaseUrl.
	Fields map[string]any
	// Config is what the connector wants to remember and everybody may see.
	Config map[string]any
	// Secrets are the credentials by field. They are never part of a message.
	Secrets map[string]headlessly.Secret
	// Given names the secrets that this connect brought, for Validate and
	// Register; the others are those that were there.
	Given []string
	// Before is the integration as it was connected before, for Validate and
	// Register; nil the first time.
	Before *Link

	// InboundURL is where the provider reaches this integration.
	InboundURL string
	// Graph is the tenant's graph with the integration as the actor.
	Graph *graph.Scope
	// Store is the graph of every tenant, for subscriptions.
	Store *graph.Store

	Client *http.Client // guarded
	Clock  headlessly.Clock
	// Sleep waits, or returns the context's error.
	Sleep  func(ctx context.Context, d time.Duration) error
	Logger *slog.Logger
	// Fail tells that the integration stopped working for good (status
	// Errored), or with nil that it works again. For attached connectors.
	Fail func(ctx context.Context, err error)
}

// Text gives a string field of the integration, "" when there is none.
func (l *Link) Text(field string) string {
	s, _ := l.Fields[field].(string)
	return s
}

// ConfigText gives a string from the link's Config.
func (l *Link) ConfigText(name string) string {
	s, _ := l.Config[name].(string)
	return s
}

// List gives a list of strings of the integration. A text is one too, with
// commas: a command line gives it where no declaration says that it is a list.
func (l *Link) List(field string) []string {
	var out []string
	switch v := l.Fields[field].(type) {
	case []any:
		for _, part := range v {
			if s, ok := part.(string); ok {
				out = append(out, s)
			}
		}
	case string:
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// CheckEvents refuses patterns in the field events that no event can fit. Those that the
// integration has already are let be: they harm nobody, and a change of
// something else must not fail for them.
func (l *Link) CheckEvents() error {
	var before []string
	if l.Before != nil {
		before = l.Before.List("events")
	}
	for i, p := range l.List("events") {
		if slices.Contains(before, p) {
			continue
		}
		if wrong := l.Graph.Types().CheckPattern(p); wrong != "" {
			return &headlessly.FieldError{Code: "validation_failed", Field: fmt.Sprintf("events[%d]", i), Message: wrong}
		}
	}
	return nil
}
