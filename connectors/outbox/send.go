package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
)

// States of a delivery.
const (
	statePending = iota
	stateDelivered
	stateParked
)

// maxNote bounds what is kept of an answer or fault, in bytes.
const maxNote = 300

// Attempt is one try at one delivery.
type Attempt struct {
	Tenant, Endpoint string
	Provider         string // the endpoint's
	Event, Name      string // evt_…, Deal.Closed
	Seq              uint64 // the event's place in the graph
	Number           int    // 1 for the first; from the last replay on
	Replay           bool   // asked for by hand
	At               time.Time
	Took             time.Duration
	State            string // of the delivery after it: delivered, pending, parked
	Status           int
	Note             string
}

// outcome is what came of one request.
type outcome struct {
	state, attempts int
	due             int64
	at              time.Time
	took            time.Duration
	answer          Answer
	throttled       bool
}

// send makes one request and writes what came of it.
func (l *lane) send(ctx context.Context, s *stream, e Endpoint, items []item) {
	events, err := l.events(ctx, items)
	start := l.b.cfg.Clock()
	var answer Answer
	if err == nil {
		l.b.cfg.Point("before send")
		try, cancel := context.WithTimeout(ctx, e.timeout())
		answer, err = safely(func() (Answer, error) { return e.Sender.Send(try, events) })
		cancel()
		l.b.cfg.Point("after send")
	}
	if err != nil && ctx.Err() != nil { // cut short by us: the row stays as it is
		l.land(s, items, true)
		return
	}
	done := l.b.cfg.Clock()
	outcomes := make([]outcome, len(items))
	for i := range items {
		outcomes[i] = l.judge(items[i], err, done)
		outcomes[i].at, outcomes[i].took, outcomes[i].answer = start, done.Sub(start), answer
		if err != nil && answer.Note == "" {
			outcomes[i].answer.Note = clip(err.Error())
		}
	}
	change := l.feel(err, outcomes[0])
	if err == nil || !s.inOrder {
		l.landed(s) // the next one goes while the disk is busy
	}
	if werr := l.settle(ctx, items, outcomes, change); werr != nil {
		l.b.cfg.Logger.Error("outbox.settle", slog.String("endpoint", l.id), slog.Any("error", werr))
		select {
		case <-ctx.Done():
		case <-time.After(takePause):
		}
	}
	l.b.cfg.Point("after settle")
	l.land(s, items, err != nil && s.inOrder)
	for i := range items { // once they have landed: a load that still passes them over must not forget when they are due
		if outcomes[i].state == statePending {
			s.lower(outcomes[i].due)
		}
	}
	signal(l.wake)
	if change != nil {
		l.health(*change)
	}
	l.report(e, events, items, outcomes)
}

// safely turns a panic of a sender into an error.
func safely(f func() (Answer, error)) (a Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the request could not be made: %v", p)
		}
	}()
	return f()
}

// events gives the rows' events, from memory where they still are.
func (l *lane) events(ctx context.Context, items []item) ([]*graph.Happened, error) {
	out := make([]*graph.Happened, len(items))
	l.mu.Lock()
	for i, it := range items {
		out[i] = l.fresh[it.seq]
		delete(l.fresh, it.seq)
	}
	l.mu.Unlock()
	for i, it := range items {
		if out[i] != nil {
			continue
		}
		h, err := l.b.cfg.Graph.HappenedAt(ctx, l.tenant, it.seq)
		if err == nil && h == nil {
			err = &headlessly.Permanent{Err: errors.New("the event is no longer in the graph")}
		}
		if err != nil {
			return nil, err
		}
		out[i] = h
	}
	return out, nil
}

// judge decides what becomes of a delivery.
func (l *lane) judge(i item, err error, now time.Time) outcome {
	o := outcome{attempts: i.attempts + 1}
	var permanent *headlessly.Permanent
	var temporary *headlessly.Temporary
	var after time.Duration
	switch {
	case err == nil:
		o.state = stateDelivered
		return o
	case errors.Is(err, ErrGone), errors.As(err, &permanent):
		o.state = stateParked
		return o
	case errors.As(err, &temporary):
		after, o.throttled = temporary.After, temporary.Throttled
	}
	if o.throttled {
		o.attempts, o.due = i.attempts, now.Add(max(after, time.Second)).UnixMicro()
		return o
	}
	if o.attempts > len(l.b.cfg.Schedule) {
		o.state = stateParked
		return o
	}
	pause := l.b.cfg.Schedule[i.attempts]
	pause += time.Duration(float64(pause) * l.b.cfg.Jitter * l.b.cfg.Rand())
	o.due = now.Add(max(pause, after)).UnixMicro()
	return o
}

// feel notes how the endpoint does. It gives the fault that its health changed
// to, "" for well, nil when it did not change.
func (l *lane) feel(err error, o outcome) *string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.failures = 0
		if l.failing == "" {
			return nil
		}
		l.failing = ""
		return new(string)
	}
	if o.throttled {
		if at := time.UnixMicro(o.due); at.After(l.holdUntil) {
			l.holdUntil = at
		}
		return nil
	}
	l.failures++
	if o.state != stateParked {
		return nil
	}
	fault := o.answer.Note
	if o.answer.Status != 0 {
		fault = fmt.Sprintf("status %d: %s", o.answer.Status, fault)
	}
	if errors.Is(err, ErrGone) {
		fault = err.Error() + "; they wait for a replay"
		l.stopped = fault
	}
	fault = clip(fault)
	if l.failing != "" {
		return nil
	}
	l.failing = fault
	return &fault
}

const (
	settleRow     = `update deliveries set state = ?, attempts = ?, due = ?, tried = ?, took = ?, status = ?, note = ? where endpoint = ? and seq = ? and state <> 1`
	settleAttempt = `insert into attempts (endpoint, seq, n, at, took, status, note) values (?, ?, (select coalesce(max(n), 0) + 1 from attempts where endpoint = ?1 and seq = ?2), ?, ?, ?, ?)`
	settleHealth  = `update endpoints set failing = ?, stopped = ? where n = ?`
)

// settle stores outcomes. It is not cut short: what is known is written.
func (l *lane) settle(ctx context.Context, items []item, outcomes []outcome, change *string) error {
	ctx = context.WithoutCancel(ctx)
	l.mu.Lock()
	failing, stopped := l.failing, l.stopped
	l.mu.Unlock()
	return l.b.write(ctx, func(ctx context.Context, tx *tx) error {
		for i, o := range outcomes {
			took, at, seq := o.took.Microseconds(), o.at.UnixMicro(), int64(items[i].seq) //nolint:gosec // a sequence
			if _, err := tx.exec(ctx, settleRow, o.state, o.attempts, o.due, at, took, o.answer.Status, o.answer.Note, l.n, seq); err != nil {
				return err
			}
			if o.state == stateDelivered || o.throttled {
				continue
			}
			if _, err := tx.exec(ctx, settleAttempt, l.n, seq, at, took, o.answer.Status, o.answer.Note); err != nil {
				return err
			}
		}
		if change == nil && stopped == "" {
			return nil
		}
		_, err := tx.exec(ctx, settleHealth, failing, stopped, l.n)
		return err
	})
}

// landed frees a request's slot.
func (l *lane) landed(s *stream) {
	l.mu.Lock()
	s.sending--
	l.mu.Unlock()
	signal(l.wake)
}

// land forgets rows whose outcome is on disk; slot says that the request's slot
// was kept until now.
func (l *lane) land(s *stream, items []item, slot bool) {
	l.mu.Lock()
	for _, i := range items {
		delete(l.flying, i.seq)
	}
	for _, other := range []*stream{&l.free, &l.inOrder} {
		if other.missed {
			other.missed = false
			other.more.Store(true)
			other.dirty.Store(true)
		}
	}
	if slot {
		s.sending--
	}
	l.mu.Unlock()
	if slot {
		s.more.Store(true)
		s.dirty.Store(true)
	}
	signal(l.wake)
}

// report tells of the attempts. One that was throttled does not count, but it
// was made.
func (l *lane) report(e Endpoint, events []*graph.Happened, items []item, outcomes []outcome) {
	list := make([]Attempt, 0, len(events))
	for i, h := range events {
		o := outcomes[i]
		list = append(list, Attempt{
			Tenant: l.tenant, Endpoint: l.id, Provider: e.Provider, Event: h.Event.ID, Name: h.Event.Name, Seq: items[i].seq,
			Number: items[i].attempts + 1, Replay: items[i].replays > 0, At: o.at, Took: o.took,
			State: stateNames[o.state], Status: o.answer.Status, Note: o.answer.Note,
		})
	}
	if len(list) > 0 {
		l.b.cfg.Attempts(list)
	}
}

// clip cuts text to what is kept.
func clip(s string) string {
	if len(s) <= maxNote {
		return s
	}
	cut := maxNote
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut]
}
