package forwarders

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/headlessly/headlessly"
)

// Config puts a router together. Zero values of the tunables take the defaults
// of [Default].
type Config struct {
	Log          headlessly.LogReader
	Parked       headlessly.Parked
	Destinations headlessly.DestinationSource
	Client       *http.Client // guarded, see the egress package
	Registry     Registry
	Clock        headlessly.Clock
	Logger       *slog.Logger
	// Rand gives the jitter: a number in [0, 1).
	Rand func() float64
	// Deliveries is where every attempt is appended as a headlessly.Delivery,
	// nil for nowhere.
	Deliveries headlessly.Appender
	// Attempts is told of every attempt, nil for nobody. It must not block.
	Attempts func([]Attempt)
	// Point is called at each named point (PointBeforeSend and so on), nil for
	// nobody. Tests kill the router there.
	Point func(name string)

	// Reader is the name of the router's cursor.
	Reader string

	// QueueItems and QueueBytes bound what all lanes hold together; one lane
	// may take half of what is free.
	QueueItems int
	QueueBytes int64
	// Requests bounds concurrent Deliver calls of all lanes; SuspectRequests
	// those of lanes whose last call failed or was slow.
	Requests        int
	SuspectRequests int
	// Linger is how long a lane waits for company before it sends less than a
	// full batch.
	Linger time.Duration
	// Hold is how long an item may stay in memory before it is parked. It
	// bounds what a crash makes us send again.
	Hold time.Duration
	// Tries is how many deliveries are tried from memory before parking.
	Tries int
	// RetryBase is the first wait between them; it doubles each time.
	RetryBase time.Duration
	// BreakAfter is how many failed calls in a row open a lane's breaker.
	BreakAfter int
	// BreakBase and BreakMax bound how long it stays open.
	BreakBase time.Duration
	BreakMax  time.Duration
	// ParkedBase and ParkedMax bound the wait between scheduled retries.
	ParkedBase time.Duration
	ParkedMax  time.Duration
	// MaxRetryAfter caps what a provider may ask us to wait.
	MaxRetryAfter time.Duration
	// Budget is how long a parked item is retried before it becomes dead.
	Budget time.Duration
	// MaxParked bounds what is parked of one lane; beyond it those parked
	// first go.
	MaxParked int64
	// KeepDead is how long dead and unknown items are kept.
	KeepDead time.Duration
	// Scan is how often the schedule of parked items is looked at.
	Scan time.Duration
	// Window bounds parked items of one lane that are in memory at once.
	Window int
	// Behind is the age of a frame from which the router counts as catching
	// up; then it waits for lanes that make progress, for at most Patience at
	// a time and PatienceTotal until it is up to date again.
	Behind        time.Duration
	Patience      time.Duration
	PatienceTotal time.Duration
	// LaneIdle is when an idle lane is dropped.
	LaneIdle time.Duration
	// CommitEvery is the least time between commits of the cursor.
	CommitEvery time.Duration
	// Grace is how long a stop waits for requests under way.
	Grace time.Duration
}

// Default gives every tunable its default and no parts.
func Default() Config {
	return Config{
		Clock:  headlessly.SystemClock,
		Logger: slog.New(slog.DiscardHandler),
		Rand:   rand.Float64,
		Reader: "router",

		QueueItems:      100_000,
		QueueBytes:      128 << 20,
		Requests:        1024,
		SuspectRequests: 256,
		Linger:          5 * time.Millisecond,
		Hold:            15 * time.Second,
		Tries:           3,
		RetryBase:       250 * time.Millisecond,
		BreakAfter:      5,
		BreakBase:       time.Second,
		BreakMax:        5 * time.Minute,
		ParkedBase:      15 * time.Second,
		ParkedMax:       time.Hour,
		MaxRetryAfter:   6 * time.Hour,
		Budget:          72 * time.Hour,
		MaxParked:       5_000_000,
		KeepDead:        30 * 24 * time.Hour,
		Scan:            500 * time.Millisecond,
		Window:          1000,
		Behind:          time.Second,
		Patience:        time.Second,
		PatienceTotal:   30 * time.Second,
		LaneIdle:        time.Minute,
		CommitEvery:     50 * time.Millisecond,
		Grace:           10 * time.Second,
	}
}

// Validate reports every part that is missing and every value out of range.
func (c *Config) Validate() error {
	var errs []error
	need := func(ok bool, name string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s is missing", name))
		}
	}
	need(c.Log != nil, "log")
	need(c.Parked != nil, "parked")
	need(c.Destinations != nil, "destinations")
	need(c.Client != nil, "client")
	need(len(c.Registry) > 0, "registry")
	if err := c.Registry.Validate(); err != nil {
		errs = append(errs, err)
	}
	for _, v := range []struct {
		name string
		n    int64
	}{
		{"queueItems", int64(c.QueueItems)},
		{"queueBytes", c.QueueBytes},
		{"requests", int64(c.Requests)},
		{"suspectRequests", int64(c.SuspectRequests)},
		{"linger", int64(c.Linger)},
		{"hold", int64(c.Hold)},
		{"tries", int64(c.Tries)},
		{"retryBase", int64(c.RetryBase)},
		{"breakAfter", int64(c.BreakAfter)},
		{"breakBase", int64(c.BreakBase)},
		{"breakMax", int64(c.BreakMax)},
		{"parkedBase", int64(c.ParkedBase)},
		{"parkedMax", int64(c.ParkedMax)},
		{"maxRetryAfter", int64(c.MaxRetryAfter)},
		{"budget", int64(c.Budget)},
		{"maxParked", c.MaxParked},
		{"keepDead", int64(c.KeepDead)},
		{"scan", int64(c.Scan)},
		{"window", int64(c.Window)},
		{"laneIdle", int64(c.LaneIdle)},
		{"commitEvery", int64(c.CommitEvery)},
		{"grace", int64(c.Grace)},
	} {
		if v.n < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", v.name))
		}
	}
	return errors.Join(errs...)
}

// fill replaces zero values by defaults.
func (c *Config) fill() {
	d := Default()
	or(&c.Reader, d.Reader)
	or(&c.QueueItems, d.QueueItems)
	or(&c.QueueBytes, d.QueueBytes)
	or(&c.Requests, d.Requests)
	or(&c.SuspectRequests, d.SuspectRequests)
	or(&c.Linger, d.Linger)
	or(&c.Hold, d.Hold)
	or(&c.Tries, d.Tries)
	or(&c.RetryBase, d.RetryBase)
	or(&c.BreakAfter, d.BreakAfter)
	or(&c.BreakBase, d.BreakBase)
	or(&c.BreakMax, d.BreakMax)
	or(&c.ParkedBase, d.ParkedBase)
	or(&c.ParkedMax, d.ParkedMax)
	or(&c.MaxRetryAfter, d.MaxRetryAfter)
	or(&c.Budget, d.Budget)
	or(&c.MaxParked, d.MaxParked)
	or(&c.KeepDead, d.KeepDead)
	or(&c.Scan, d.Scan)
	or(&c.Window, d.Window)
	or(&c.Behind, d.Behind)
	or(&c.Patience, d.Patience)
	or(&c.PatienceTotal, d.PatienceTotal)
	or(&c.LaneIdle, d.LaneIdle)
	or(&c.CommitEvery, d.CommitEvery)
	or(&c.Grace, d.Grace)
	or(&c.Logger, d.Logger)
	if c.Clock == nil {
		c.Clock = d.Clock
	}
	if c.Rand == nil {
		c.Rand = d.Rand
	}
}

func or[T comparable](p *T, d T) {
	var zero T
	if *p == zero {
		*p = d
	}
}
