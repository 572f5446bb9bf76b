package forwarders

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/headlessly/headlessly"
)

// Item is one event on its way to one destination.
type Item struct {
	// Event is shared with other destinations and must not be changed.
	Event *headlessly.Event
	// Attempts is how many deliveries were tried before this one.
	Attempts int
	// Replay is set when a person asked for the event to be sent again.
	Replay bool
}

// Result is what became of one item.
type Result struct {
	// Err is nil for a delivered item, else *Skipped, *headlessly.Permanent,
	// *headlessly.Temporary or *headlessly.Unknown; any other error counts as
	// temporary. Its text holds no credential.
	Err error
	// Status is the HTTP status of the answer, 0 without one.
	Status int
	// Note is a short excerpt of what the provider said, without credentials.
	Note string
}

// Destination sends events to one place of one tenant.
type Destination interface {
	// Limits says how the destination wants to be fed. Constant.
	Limits() Limits
	// Deliver sends a batch of at most Limits().Items items and returns one
	// result per item, in the same order.
	//
	// It blocks until the provider has answered or ctx is done, which cancels
	// what is under way; the items' results are then Unknown or Temporary. It
	// is safe for concurrent use. It never retries: the router does, from the
	// result's type. It derives ids and timestamps from the event alone, so
	// that delivering an item again sends the same bytes where they matter to
	// the provider's deduplication (Limits().Idempotent says if it has any).
	Deliver(ctx context.Context, batch []Item) []Result
}

// Reasons, besides those of the gate, for which an event never reaches its
// destination.
const (
	DropBudget  = "budget"  // it was retried for as long as Config.Budget says
	DropExpired = "expired" // it was parked, and there was no more room
)

// Reporter is a Destination whose provider wants to be told what it does not
// get. Safe for concurrent use.
type Reporter interface {
	// Dropped notes that the event will not be sent: one of the Skip and Drop
	// reasons. It does not block.
	Dropped(e *headlessly.Event, reason string)
	// Due says whether there is something to tell.
	Due() bool
	// Report tells it. It blocks until it has, or ctx is done.
	Report(ctx context.Context)
}

// Limits says how a destination wants to be fed.
type Limits struct {
	// Items and Bytes bound a batch; Bytes counts the events' binary form.
	Items int
	Bytes int
	// InFlight bounds concurrent Deliver calls for one tenant.
	InFlight int
	// PerSecond bounds items a second, 0 for no bound.
	PerSecond float64
	// Timeout bounds one Deliver call.
	Timeout time.Duration
	// Idempotent means that the provider drops an item it already has, so
	// that an unknown outcome may be tried again.
	Idempotent bool
}

// Skipped is the result for an item that the destination has no use for.
type Skipped struct{ Reason string }

func (s *Skipped) Error() string { return "skipped: " + s.Reason }

// Deps is what a destination is built with.
type Deps struct {
	Client *http.Client // the guarded client
	Clock  headlessly.Clock
	Logger *slog.Logger
}

// Kind is one sort of destination: an entry of the registry. All functions are
// safe for concurrent use and do no I/O.
type Kind struct {
	// Name is the destination's name in counters, parked items and traces.
	Name string
	// Aliases are the names by which an event's "integrations" object may
	// switch this destination off, in lower case.
	Aliases []string
	// Consent names the consent categories that govern this destination; the
	// first one that an event mentions decides. See [Allowed].
	Consent []string
	// Connected says whether the tenant has this destination.
	Connected func(headlessly.Destinations) bool
	// Takes says whether events like this one are sent at all.
	Takes func(*headlessly.Event) bool
	// Rules gives the tenant's rules for this destination, nil for none.
	Rules func(headlessly.Destinations) *headlessly.Rules
	// Build makes the tenant's destination. An error (a DSN that cannot be
	// read) makes the tenant's events dead letters with that reason; it holds
	// no credential.
	Build func(headlessly.Destinations, Deps) (Destination, error)
	// Forget is how a person is deleted there; nil says that the gateway can do
	// nothing and knows nothing about it.
	Forget *Forget
}

// Registry lists the kinds of destination a router knows, in a fixed order.
type Registry []Kind

// Validate reports a kind that is incomplete or listed twice.
func (r Registry) Validate() error {
	seen := map[string]bool{}
	for i, k := range r {
		switch {
		case k.Name == "":
			return fmt.Errorf("registry entry %d has no name", i)
		case seen[k.Name]:
			return fmt.Errorf("destination %s is registered twice", k.Name)
		case k.Connected == nil || k.Takes == nil || k.Build == nil || k.Rules == nil:
			return fmt.Errorf("destination %s lacks a function", k.Name)
		}
		seen[k.Name] = true
	}
	return nil
}

// Find gives the kind with this name, or nil.
func (r Registry) Find(name string) *Kind {
	for i := range r {
		if r[i].Name == name {
			return &r[i]
		}
	}
	return nil
}
