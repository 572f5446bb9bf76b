package forwarders

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/headlessly/headlessly"
)

// Outcomes of an attempt.
const (
	OutcomeDelivered = "delivered"
	OutcomeSkipped   = "skipped"
	OutcomeRetry     = "retry"
	OutcomeDead      = "dead"
	OutcomeUnknown   = "unknown"
)

// Attempt is one event sent to one destination once and what came of it: a row
// of the deliveries table.
type Attempt struct {
	At          time.Time     `json:"at"`
	Took        time.Duration `json:"tookNs"`
	Tenant      string        `json:"tenant"`
	Destination string        `json:"destination"`
	Integration string        `json:"integration,omitempty"` // the $id of the one that named the destination
	MessageID   string        `json:"messageId"`             // of the event; evt_… of an entity's
	Event       string        `json:"event"`                 // name or type
	LogSeq      int64         `json:"logSeq"`                // the event's place in its log
	Try         int           `json:"try"`                   // 1 for the first
	Outcome     string        `json:"outcome"`
	Status      int           `json:"status,omitempty"` // HTTP status, 0 without an answer
	Note        string        `json:"note,omitempty"`   // excerpt of the answer
	Error       string        `json:"error,omitempty"`
	Replay      bool          `json:"replay,omitempty"`
}

// verdict is what a result's type tells the router to do.
type verdict struct {
	outcome   string
	after     time.Duration
	throttled bool
}

// judge decides from the type of an error alone.
func judge(err error, idempotent bool) verdict {
	var skip *Skipped
	var permanent *headlessly.Permanent
	var temporary *headlessly.Temporary
	var lost *headlessly.Unknown
	switch {
	case err == nil:
		return verdict{outcome: OutcomeDelivered}
	case errors.As(err, &skip):
		return verdict{outcome: OutcomeSkipped}
	case errors.As(err, &permanent):
		return verdict{outcome: OutcomeDead}
	case errors.As(err, &lost) && !idempotent:
		return verdict{outcome: OutcomeUnknown}
	case errors.As(err, &temporary):
		return verdict{outcome: OutcomeRetry, after: temporary.After, throttled: temporary.Throttled}
	}
	return verdict{outcome: OutcomeRetry}
}

// deliver calls the destination and makes sure of one result per item. A panic
// costs the item that caused it, not its neighbours.
func deliver(ctx context.Context, d Destination, batch []Item) []Result {
	results, err := guarded(ctx, d, batch)
	if err == nil && len(results) != len(batch) {
		lost := &headlessly.Unknown{Err: fmt.Errorf("destination gave %d results for %d items", len(results), len(batch))}
		results = make([]Result, len(batch))
		for i := range results {
			results[i].Err = lost
		}
	}
	if err == nil {
		return results
	}
	if len(batch) == 1 {
		return []Result{{Err: &headlessly.Permanent{Err: err}}}
	}
	half := len(batch) / 2
	return append(deliver(ctx, d, batch[:half]), deliver(ctx, d, batch[half:])...)
}

func guarded(ctx context.Context, d Destination, batch []Item) (results []Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("destination panicked: %T at %s", p, culprit(debug.Stack()))
		}
	}()
	return d.Deliver(ctx, batch), nil
}
