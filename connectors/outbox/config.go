package outbox

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
)

// Schedule is the pause before each further attempt, by spec/entities.md.
var Schedule = []time.Duration{30 * time.Second, 2 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour} //nolint:gochecknoglobals // a constant

// Config is what a Box needs. Start from [Default].
type Config struct {
	Graph *graph.Store
	Dir   string // folder of outbox.db
	// Schedule is the pause before each further attempt; when it is used up a
	// delivery is parked.
	Schedule []time.Duration
	// Jitter spreads a pause: it becomes up to this share longer.
	Jitter float64
	// InFlight is how many requests one endpoint gets at the same time, unless
	// the endpoint says otherwise.
	InFlight int
	// KeepFor and KeepMost bound the delivered rows that each endpoint's log
	// keeps. Pending and parked ones are always kept.
	KeepFor  time.Duration
	KeepMost int
	// Attempts is told of attempts, after they are stored. It must not block.
	Attempts func([]Attempt)

	Clock headlessly.Clock
	// After is time.After, by the same clock.
	After  func(time.Duration) <-chan time.Time
	Rand   func() float64 // 0 ≤ x < 1
	Logger *slog.Logger
	// Point is called at named points, so that tests can kill the process
	// there.
	Point func(name string)
}

// Default is a Box over a graph in dir.
func Default(g *graph.Store, dir string) Config {
	return Config{
		Graph: g, Dir: dir, Schedule: Schedule, Jitter: 0.2, InFlight: 16,
		KeepFor: 30 * 24 * time.Hour, KeepMost: 100_000,
		Attempts: func([]Attempt) {},
		Clock:    headlessly.SystemClock, After: time.After, Rand: rand.Float64, Logger: slog.New(slog.DiscardHandler), Point: func(string) {},
	}
}

// Validate reports every fault.
func (c *Config) Validate() error {
	var errs []error
	if c.Graph == nil {
		errs = append(errs, errors.New("outbox.graph: needed"))
	}
	if c.Dir == "" {
		errs = append(errs, errors.New("outbox.dir: needed"))
	}
	if c.Jitter < 0 || c.Jitter > 1 {
		errs = append(errs, fmt.Errorf("outbox.jitter: %v, want 0 to 1", c.Jitter))
	}
	if c.InFlight < 1 {
		errs = append(errs, fmt.Errorf("outbox.inFlight: %d, want 1 or more", c.InFlight))
	}
	for i, d := range c.Schedule {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("outbox.schedule[%d]: %s, want more than nothing", i, d))
		}
	}
	if c.KeepMost < 0 || c.KeepFor < 0 {
		errs = append(errs, errors.New("outbox.keepFor and outbox.keepMost: want 0 or more"))
	}
	return errors.Join(errs...)
}
