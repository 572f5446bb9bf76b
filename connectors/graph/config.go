package graph

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/nats-io/nats.go/jetstream"
)

// Config is what a graph needs. Start from [DefaultConfig].
type Config struct {
	// JetStream holds the truth: the graph's stream. Its server must sync each
	// write (SyncAlways), or be a cluster. Required. Close leaves it open.
	JetStream jetstream.JetStream
	// Dir is the folder of the projection, which may be deleted at any time
	// while the graph is closed. Required.
	Dir string
	// Rebuild has the projection built anew, because the log has been mended:
	// it may show what is no longer there.
	Rebuild bool
	// Types are the entity types; the built-in ones unless set.
	Types *Types
	// PublicURL goes into $context.
	PublicURL string
	// Prefix goes before stream names and subjects, so that several graphs can
	// share a cluster.
	Prefix string
	// Replicas of each stream, for those that are made; 1 unless set.
	Replicas int

	// StrictReferences refuses a reference to an entity that is not there. By
	// default it is taken: a sync brings a subscription before its customer.
	StrictReferences bool
	// AckTimeout is how long the log may take to acknowledge a mutation; it
	// is answered "unavailable" then.
	AckTimeout time.Duration
	// HookDeadline is how long a before hook outside this process may take.
	HookDeadline time.Duration
	// HookAttempts is how often an after hook is tried with an event before
	// the event is parked.
	HookAttempts int
	// HookPause is the wait before an after hook's second attempt; each
	// further one waits twice as long, up to a minute.
	HookPause time.Duration
	// LeaseFor is how long a silent process keeps a durable after hook from
	// the others.
	LeaseFor time.Duration

	Clock  headlessly.Clock
	Logger *slog.Logger
	Rand   io.Reader
}

// DefaultConfig is a graph in dir over js.
func DefaultConfig(js jetstream.JetStream, dir string) Config {
	return Config{
		JetStream: js, Dir: dir, Types: BuiltinTypes(), PublicURL: "https://headless.ly", Replicas: 1,
		AckTimeout: 10 * time.Second, HookDeadline: 2 * time.Second, HookAttempts: 8, HookPause: 250 * time.Millisecond, LeaseFor: 10 * time.Second,
		Clock: headlessly.SystemClock, Logger: slog.New(slog.DiscardHandler), Rand: rand.Reader,
	}
}

var prefixForm = regexp.MustCompile(`^[A-Za-z0-9_-]*$`)

// Validate reports every fault.
func (c Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.JetStream == nil {
		fault("graph.jetstream: needed")
	}
	if c.Dir == "" {
		fault("graph.dir: needed")
	}
	if !prefixForm.MatchString(c.Prefix) {
		fault("graph.prefix: %q, want letters, digits, hyphens and underscores", c.Prefix)
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Scheme == "" || u.Host == "" || strings.ContainsAny(c.PublicURL, "\"\\")) {
		fault("graph.publicUrl: %q is no URL", c.PublicURL)
	}
	if c.Replicas < 0 || c.Replicas > 5 {
		fault("graph.replicas: %d, want 1 to 5", c.Replicas)
	}
	for name, d := range map[string]time.Duration{"ackTimeout": c.AckTimeout, "hookDeadline": c.HookDeadline, "hookPause": c.HookPause, "leaseFor": c.LeaseFor} {
		if d < 0 {
			fault("graph.%s: %s is negative", name, d)
		}
	}
	if c.HookAttempts < 0 {
		fault("graph.hookAttempts: %d is negative", c.HookAttempts)
	}
	return errors.Join(errs...)
}

// filled gives c with its zero values replaced by the defaults.
func (c Config) filled() Config {
	d := DefaultConfig(c.JetStream, c.Dir)
	if c.Types == nil {
		c.Types = d.Types
	}
	if c.PublicURL == "" {
		c.PublicURL = d.PublicURL
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	if c.Replicas == 0 {
		c.Replicas = d.Replicas
	}
	for to, from := range map[*time.Duration]time.Duration{&c.AckTimeout: d.AckTimeout, &c.HookDeadline: d.HookDeadline, &c.HookPause: d.HookPause, &c.LeaseFor: d.LeaseFor} {
		if *to == 0 {
			*to = from
		}
	}
	if c.HookAttempts == 0 {
		c.HookAttempts = d.HookAttempts
	}
	if c.Clock == nil {
		c.Clock = d.Clock
	}
	if c.Logger == nil {
		c.Logger = d.Logger
	}
	if c.Rand == nil {
		c.Rand = d.Rand
	}
	return c
}
