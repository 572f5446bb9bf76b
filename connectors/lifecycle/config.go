package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/store"
)

// Config is what the lifecycle needs. Start from [Default].
type Config struct {
	Graph    *graph.Store
	Store    *store.Store
	Registry connectors.Registry
	// Client reaches providers; it must be guarded, for their addresses may
	// come from users.
	Client *http.Client
	// PublicURL is where providers reach the gateway.
	PublicURL string

	// ConnectTimeout bounds what a connect or disconnect does at the provider.
	ConnectTimeout time.Duration
	// PushTimeout bounds what a mutation waits for the provider.
	PushTimeout time.Duration
	// SyncTries is how often a page is tried before the integration counts as
	// errored.
	SyncTries int
	// RetryBase and RetryMax bound the wait between tries; it doubles.
	RetryBase, RetryMax time.Duration
	// Scan is how often the schedule of syncs and of receipts that wait is
	// looked at.
	Scan time.Duration
	// Grace is how long an object of our own making waits for the mutation
	// that made it.
	Grace time.Duration
	// WaitFor is how long a receipt is tried.
	WaitFor time.Duration
	// Budget is how long one call of Receive may ask providers before the
	// rest of the receipts is stored to be tried later.
	Budget time.Duration

	Clock  headlessly.Clock
	Sleep  func(ctx context.Context, d time.Duration) error
	Logger *slog.Logger
}

// Default gives every tunable its default and no parts.
func Default() Config {
	return Config{
		ConnectTimeout: time.Minute, PushTimeout: 30 * time.Second, SyncTries: 6, RetryBase: time.Second, RetryMax: time.Minute,
		Scan: time.Second, Grace: 30 * time.Second, WaitFor: 72 * time.Hour, Budget: 10 * time.Second,
		Clock: headlessly.SystemClock, Sleep: sleep, Logger: slog.New(slog.DiscardHandler),
	}
}

// sleep waits in real time.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Validate reports every fault.
func (c *Config) Validate() error {
	var errs []error
	need := func(ok bool, name string) {
		if !ok {
			errs = append(errs, fmt.Errorf("lifecycle.%s: missing", name))
		}
	}
	need(c.Graph != nil, "graph")
	need(c.Store != nil, "store")
	need(c.Client != nil, "client")
	need(c.Clock != nil && c.Sleep != nil && c.Logger != nil, "clock, sleep, logger")
	for name, d := range map[string]time.Duration{
		"connectTimeout": c.ConnectTimeout, "pushTimeout": c.PushTimeout, "retryBase": c.RetryBase, "retryMax": c.RetryMax, "scan": c.Scan, "waitFor": c.WaitFor, "budget": c.Budget,
	} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("lifecycle.%s: %s, want more than nothing", name, d))
		}
	}
	if c.SyncTries < 1 {
		errs = append(errs, fmt.Errorf("lifecycle.syncTries: %d, want 1 or more", c.SyncTries))
	}
	return errors.Join(append(errs, c.Registry.Validate())...)
}

func (c *Config) inbound(tenant, provider, id string) string {
	return strings.TrimRight(c.PublicURL, "/") + "/~" + tenant + "/in/" + provider + "/" + id
}
