package graph

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Do performs one mutation. When it returns without an error, the mutation is
// durable and every read of this process shows it. An error of code
// "unavailable" means that the outcome may be unknown.
func (sc *Scope) Do(ctx context.Context, op Op) (Result, error) {
	a, err := sc.begin(ctx, op)
	if err != nil {
		return Result{}, err
	}
	defer a.unlock()
	return a.do(ctx)
}

func (a *attempt) do(ctx context.Context) (Result, error) {
	for range conflictsMost {
		changed, err := a.plan(ctx, false)
		if (err != nil || !changed) && a.stale(ctx, err) {
			continue
		}
		if err != nil {
			return Result{}, err
		}
		if !changed {
			return Result{Entity: &a.now.Entity}, nil
		}
		p := newProposal(a.msgs)
		if err := a.s.commits.submit(ctx, p); err != nil {
			return Result{}, a.failed(err)
		}
		seq, err := a.s.commits.wait(ctx, p)
		if errors.Is(err, errConflict) {
			if err := a.lost(ctx); err != nil {
				return Result{}, err
			}
			continue
		}
		if err != nil {
			return Result{}, a.failed(err)
		}
		return a.finish(ctx, seq)
	}
	return Result{}, a.tooMany()
}

// stale says whether a refusal, or that there is nothing to change, may come
// from a projection that is behind the log, as another process has written it.
// When it says so the projection has caught up, and the mutation is planned
// again.
func (a *attempt) stale(ctx context.Context, err error) bool {
	switch CodeOf(err) {
	case "", CodeNotFound, CodeConflict, CodeVersionMismatch, CodeValidation:
	default:
		return false
	}
	if a.fresh {
		return false
	}
	a.fresh = true
	last, fault := a.s.last(ctx)
	if fault != nil || a.planned >= last {
		return false
	}
	a.unlock()
	return a.s.reach(ctx, last) == nil
}

// Waits before a mutation that lost a race is tried again, each twice as long as
// the one before. With conflictsMost tries they are some three seconds.
const (
	firstLostPause = time.Millisecond
	lastLostPause  = 200 * time.Millisecond
)

// lost prepares for another try: the projection must first show what came in
// between. That may be nothing yet: a cluster refuses at once what comes behind
// a message that it is still storing, and shows that one later, or never.
func (a *attempt) lost(ctx context.Context) error {
	a.unlock()
	a.lostPause = min(max(2*a.lostPause, firstLostPause), lastLostPause)
	select {
	case <-ctx.Done():
		return a.failed(ctx.Err())
	case <-time.After(a.lostPause/2 + rand.N(a.lostPause)): //nolint:gosec // apart, not unguessable
	}
	if a.creates() {
		a.id = ""
	}
	last, err := a.s.last(ctx)
	if err == nil {
		err = a.s.reach(ctx, last)
	}
	if err != nil {
		return a.failed(err)
	}
	return nil
}

// finish waits until the mutation can be read, and reads it.
func (a *attempt) finish(ctx context.Context, seq uint64) (Result, error) {
	if err := a.s.reach(ctx, seq); err != nil {
		return Result{}, unavailable(err, "the mutation is stored, but cannot be read yet")
	}
	a.unlock()
	result, err := a.result(ctx, seq)
	if f := a.s.hooks.settleOf(a.typ.Name); f != nil && err == nil {
		f(ctx, result.Event)
	}
	return result, err
}

// result gives what the mutation left. It is known, but for the time that the
// log gave the event, which the projection remembers for a while.
func (a *attempt) result(ctx context.Context, seq uint64) (Result, error) {
	p, release := a.s.view()
	defer release()
	if at, ok := p.timeOf(seq); ok {
		return a.made(seq, at), nil
	}
	st, err := a.s.stateAt(ctx, p, a.scope.tenant, a.typ, seq)
	if err != nil {
		return Result{}, unavailable(err, "the mutation is stored, but cannot be read now")
	}
	e, err := p.eventAt(ctx, seq)
	if err != nil {
		return Result{}, unavailable(err, "the mutation is stored, but cannot be read now")
	}
	return Result{Entity: &st.Entity, Event: e}, nil
}

// made puts together what a read of seq would show.
func (a *attempt) made(seq uint64, at int64) Result {
	e := a.s.blank(a.scope.tenant, a.typ)
	e.ID, e.Version, e.Seq, e.UpdatedAt, e.doc = a.id, a.sent.Version, seq, at, a.doc
	if e.CreatedAt, e.CreatedBy = at, a.sent.Actor; a.now != nil {
		e.CreatedAt, e.CreatedBy = a.now.CreatedAt, a.now.CreatedBy
	}
	return Result{Entity: &e, Event: &Event{
		ID: a.sent.ID, Name: a.typ.Name + "." + a.sent.Event, Target: a.id, Tenant: a.scope.tenant, Actor: a.sent.Actor, Time: at,
		Version: a.sent.Version, Seq: seq, Data: a.sent.Data, Deleted: a.sent.Deleted, Cause: a.sent.Cause, Hops: a.sent.Hops,
	}}
}

// failed turns an error of the log into an answer.
func (a *attempt) failed(err error) error {
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, errClosed) {
		return unavailable(err, "the graph is closing; try again")
	}
	return unavailable(err, "the graph's log did not confirm the mutation; look whether it happened before trying again")
}

func versionMessage(have, want int64) string {
	return "the entity has version " + itoa(have) + ", not " + itoa(want) + "; read it again and decide anew"
}

// Sync waits until this process shows everything that is in the log now,
// mutations of other processes included.
func (s *Store) Sync(ctx context.Context) error {
	last, err := s.last(ctx)
	if err != nil {
		return err
	}
	return s.reach(ctx, last)
}
