package outbox

import (
	"context"
	"errors"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
)

// Endpoint is where one integration's events go.
type Endpoint struct {
	Tenant, ID string
	Provider   string   // "webhook": what its attempts are shown under
	Events     []string // patterns, as in [graph.Match]
	Sender     Sender
	// From is the sequence of the graph behind which a new endpoint begins. It
	// does not count for one that is known already.
	From uint64
	// Ordered sends one request at a time, in the order of the events.
	Ordered bool
	// Batch is how many events one request holds at most, 0 or 1 for single
	// ones. A batch that is not full waits BatchWait for more.
	Batch     int
	BatchWait time.Duration
	// PerSecond bounds requests; 0 for no bound.
	PerSecond float64
	InFlight  int           // 0 for the box's
	Timeout   time.Duration // of one request; 10 s unless set
	// Health is told when a delivery was parked after the endpoint was well,
	// and with "" once it takes deliveries again; also at the start when it is
	// not well. Nil for nobody.
	Health func(fault string)
}

// DefaultTimeout bounds one request of an endpoint that does not say.
const DefaultTimeout = 10 * time.Second

// Sender makes one request of what happened. It returns nil once the endpoint
// has it, and otherwise decides by the error's type what comes next:
// *headlessly.Permanent parks the events at once, [ErrGone] also stops the
// endpoint, *headlessly.Temporary with After waits at least that long, and with
// Throttled holds the whole endpoint back without counting an attempt. Any
// other error is tried again on schedule. It is called concurrently, and again
// with the same events.
type Sender interface {
	Send(ctx context.Context, events []*graph.Happened) (Answer, error)
}

// SenderFunc is a function as a [Sender].
type SenderFunc func(ctx context.Context, events []*graph.Happened) (Answer, error)

// Send implements Sender.
func (f SenderFunc) Send(ctx context.Context, events []*graph.Happened) (Answer, error) {
	return f(ctx, events)
}

// Answer is what an endpoint answered, as far as it is kept.
type Answer struct {
	Status int    // HTTP status, 0 without an answer
	Note   string // a short printable excerpt, without secrets
}

// ErrGone means that the endpoint wants no more: it gets nothing until a replay
// or a [Box.Resume].
var ErrGone = errors.New("the receiver wants no more deliveries")

func (e *Endpoint) timeout() time.Duration {
	if e.Timeout > 0 {
		return e.Timeout
	}
	return DefaultTimeout
}

func (e *Endpoint) batch() int { return max(e.Batch, 1) }
