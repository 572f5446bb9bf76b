package graph

import (
	"context"
	"errors"
)

// MaxOps is how many operations one batch may hold.
const MaxOps = 1000

// BatchResult is what became of one operation of a batch.
type BatchResult struct {
	Result
	Err error
}

// Batch performs operations in order, each for itself: one that fails costs no
// other. Those that touch different entities are stored together, in atomic
// batches of the log.
func (sc *Scope) Batch(ctx context.Context, ops []Op) ([]BatchResult, error) {
	if len(ops) > MaxOps {
		return nil, &Error{Code: CodeTooLarge, Message: "a batch holds up to " + itoa(MaxOps) + " operations; send several"}
	}
	out := make([]BatchResult, len(ops))
	b := bulk{scope: sc, done: func(i int, r Result, err error) { out[i] = BatchResult{r, err} }, results: true}
	for i, op := range ops {
		b.add(ctx, i, op)
	}
	b.finish(ctx)
	return out, nil
}

// bulk performs many operations. While one group is being stored, the next is
// planned; operations of both hold the locks of their entities.
type bulk struct {
	scope   *Scope
	done    func(i int, r Result, err error)
	results bool // read each mutation back

	group  []flight // planned, not submitted
	flying []flight // submitted
	msgs   int
}

// flight is a planned operation on its way.
type flight struct {
	i int
	a *attempt
	p *proposal
}

// bulkGroup is how many messages a group holds. The log makes a store of its own
// for each batch while it comes in, so few large ones cost less.
const bulkGroup = 900

// add plans an operation and submits the group when it is full.
func (b *bulk) add(ctx context.Context, i int, op Op) {
	a, err := b.scope.begin(ctx, op)
	if err != nil {
		b.done(i, Result{}, err)
		return
	}
	changed, err := a.plan(ctx, true)
	if err != nil && len(b.group)+len(b.flying) > 0 {
		// It may only be too early: what it refers to, or the value that it
		// wants, is on its way.
		a.unlock()
		b.finish(ctx)
		changed, err = a.plan(ctx, true)
	}
	if errors.Is(err, errBusy) || err != nil && a.stale(ctx, err) {
		changed, err = a.plan(ctx, false)
	}
	switch {
	case err != nil:
		a.unlock()
		b.done(i, Result{}, err)
		return
	case !changed:
		a.unlock()
		b.done(i, Result{Entity: &a.now.Entity}, nil)
		return
	}
	b.group = append(b.group, flight{i, a, newProposal(a.msgs)})
	if b.msgs += len(a.msgs); b.msgs >= bulkGroup {
		b.submit(ctx)
	}
}

// submit sends the group off and lands the one before it.
func (b *bulk) submit(ctx context.Context) {
	ps := make([]*proposal, len(b.group))
	for i, f := range b.group {
		ps[i] = f.p
	}
	err := b.scope.store.commits.submit(ctx, ps...)
	b.land(ctx)
	if err != nil {
		for _, f := range b.group {
			f.a.unlock()
			b.done(f.i, Result{}, f.a.failed(err))
		}
		b.group = b.group[:0]
	}
	b.flying, b.group, b.msgs = b.group, b.flying[:0], 0
}

// finish waits for everything that was added.
func (b *bulk) finish(ctx context.Context) {
	if len(b.group) > 0 {
		b.submit(ctx)
	}
	b.land(ctx)
}

// land waits for the operations that were submitted. Those that lost a race
// are done again, alone.
func (b *bulk) land(ctx context.Context) {
	s := b.scope.store
	var again []flight
	for _, f := range b.flying {
		seq, err := s.commits.wait(ctx, f.p)
		switch {
		case errors.Is(err, errConflict):
			again = append(again, f)
		case err != nil:
			f.a.unlock()
			b.done(f.i, Result{}, f.a.failed(err))
		default:
			b.landed(ctx, f, seq)
		}
	}
	b.flying = b.flying[:0]
	for _, f := range again {
		var r Result
		err := f.a.lost(ctx)
		if err == nil {
			r, err = f.a.do(ctx)
		}
		f.a.unlock()
		b.done(f.i, r, err)
	}
}

func (b *bulk) landed(ctx context.Context, f flight, seq uint64) {
	defer f.a.unlock()
	if b.results {
		r, err := f.a.finish(ctx, seq)
		b.done(f.i, r, err)
		return
	}
	err := b.scope.store.reach(ctx, seq)
	b.done(f.i, Result{Event: &Event{ID: f.a.eventID, Seq: seq, Target: f.a.id}}, err)
}
