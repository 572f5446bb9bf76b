package forwarders

import (
	"context"
	"slices"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/rules"
)

// TypeEntityEvent is the type that a trace shows of an entity's event.
const TypeEntityEvent = "entity"

// Trace says where one event went: for each destination of its tenant what
// became of it, and with what answer.
type Trace struct {
	Tenant       string      `json:"tenant"`
	MessageID    string      `json:"messageId"`
	Type         string      `json:"type,omitempty"`
	Event        string      `json:"event,omitempty"`
	ReceivedAt   time.Time   `json:"receivedAt,omitzero"`
	LogSeq       int64       `json:"logSeq,omitempty"`
	Destinations []TraceStep `json:"destinations"`
}

// TraceStep is one destination's part of a trace.
type TraceStep struct {
	Destination string `json:"destination"`
	// State is "delivered", "skipped", "parked", "dead", "unknown" or
	// "pending"; "untold" where nothing is known any more.
	State string `json:"state"`
	// Reason says why, where it is not delivered.
	Reason string `json:"reason,omitempty"`
	// Next is when a parked event is tried again.
	Next     time.Time `json:"next,omitzero"`
	Attempts []Attempt `json:"attempts,omitempty"`
}

// Trace puts together what is known of an event: the event itself, from the
// log or the lake; the attempts recorded for it, oldest first; what is parked;
// how far the router has read. Consent, bots and rules are judged as they are
// now.
func (r *Router) Trace(ctx context.Context, e *headlessly.Event, attempts []Attempt) (Trace, error) {
	t := Trace{
		Tenant: e.Tenant, MessageID: e.MessageID, Type: e.Type, Event: e.Event,
		ReceivedAt: headlessly.Time(e.ReceivedAt), LogSeq: e.LogSeq, Destinations: []TraceStep{},
	}
	d, version := r.cfg.Destinations.Destinations(e.Tenant)
	for i := range r.cfg.Registry {
		k := &r.cfg.Registry[i]
		connected := version != 0 && k.Connected(d)
		step := TraceStep{Destination: k.Name, State: "untold"}
		for _, a := range attempts {
			if a.Destination == k.Name && a.MessageID == e.MessageID && a.Tenant == e.Tenant {
				step.Attempts = append(step.Attempts, a)
			}
		}
		if !connected && len(step.Attempts) == 0 {
			continue
		}
		found, err := r.traceParked(ctx, e, &step)
		if err != nil {
			return t, err
		}
		if !found {
			r.traceState(e, k, d, connected, &step)
		}
		t.Destinations = append(t.Destinations, step)
	}
	return t, nil
}

// TraceEntityEvent puts together what is known of an entity's event: where
// webhooks and channels were told of it. What waits there is not known here.
func TraceEntityEvent(tenant, id, name string, at time.Time, attempts []Attempt) Trace {
	t := Trace{Tenant: tenant, MessageID: id, Type: TypeEntityEvent, Event: name, ReceivedAt: at, Destinations: []TraceStep{}}
	for _, a := range attempts {
		where := a.Destination
		if a.Integration != "" {
			where += " " + a.Integration
		}
		i := slices.IndexFunc(t.Destinations, func(s TraceStep) bool { return s.Destination == where })
		if i < 0 {
			i = len(t.Destinations)
			t.Destinations = append(t.Destinations, TraceStep{Destination: where})
		}
		step := &t.Destinations[i]
		step.Attempts = append(step.Attempts, a)
		if step.State, step.Reason = a.Outcome, a.Error; a.Outcome == OutcomeRetry {
			step.State = "pending"
		}
	}
	return t
}

// traceParked looks for the event on the disk.
func (r *Router) traceParked(ctx context.Context, e *headlessly.Event, step *TraceStep) (found bool, err error) {
	for it, fault := range r.cfg.Parked.List(ctx, e.Tenant, step.Destination) {
		if fault != nil {
			err = fault
			continue
		}
		if e.LogSeq != 0 && it.LogSeq != e.LogSeq {
			continue
		}
		var parkedEvent headlessly.Event
		if parkedEvent.UnmarshalBinary(it.Event) != nil || parkedEvent.MessageID != e.MessageID {
			continue
		}
		step.Reason, step.Next = it.Reason, r.nextTry(Key{e.Tenant, step.Destination}, it.NotUntil)
		switch {
		case it.Dead:
			step.State = OutcomeDead
		case it.Unknown:
			step.State = OutcomeUnknown
		default:
			step.State = "parked"
		}
		return true, nil
	}
	return false, err
}

// nextTry is when a parked item is tried again: not before the lane's breaker
// lets anything through.
func (r *Router) nextTry(key Key, notUntil time.Time) time.Time {
	r.mu.RLock()
	l := r.lanes[key]
	r.mu.RUnlock()
	if l != nil {
		if _, until := l.breakerState(r.cfg.Clock()); until.After(notUntil) {
			return until
		}
	}
	return notUntil
}

// traceState judges an event that is not on the disk.
func (r *Router) traceState(e *headlessly.Event, k *Kind, d headlessly.Destinations, connected bool, step *TraceStep) {
	if n := len(step.Attempts); n > 0 {
		last := step.Attempts[n-1]
		step.State, step.Reason = last.Outcome, last.Error
		if last.Outcome == OutcomeRetry {
			step.State = "pending"
		}
		return
	}
	if !connected {
		return
	}
	set, err := rules.Compile(k.Rules(d))
	if err != nil {
		step.Reason = err.Error()
		return
	}
	if why := gate(k, set, e); why != "" {
		step.State, step.Reason = OutcomeSkipped, why
		return
	}
	if seq, _ := headlessly.SplitLogSeq(e.LogSeq); e.LogSeq != 0 && seq > r.Totals().Committed {
		step.State = "pending"
	}
}
