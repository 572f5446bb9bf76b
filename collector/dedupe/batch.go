package dedupe

import (
	"context"
	"errors"

	"github.com/headlessly/headlessly"
)

// Batch is one request's ids. The zero Batch is ready for [Index.Begin] and may
// be used for one request after the other; it is not safe for concurrent use.
type Batch struct {
	index   *Index
	tenant  key
	flight  *flight   // of this request's own new ids; nil until there is one
	keys    []key     // those ids
	others  []*flight // of other requests that are appending ids of this one
	scratch []byte
	next    key
}

// Begin starts a request of one tenant. Call Done or Release for each Begin.
func (x *Index) Begin(b *Batch, tenant string) {
	b.index, b.flight, b.keys, b.others = x, nil, b.keys[:0], b.others[:0]
	b.tenant, b.scratch = x.keyer.tenant(tenant, b.scratch)
}

// Add says whether an id is new. If so it belongs to the batch until Done or
// Release; if not, the event is in the log or about to be ([Batch.Wait]).
func (b *Batch) Add(id string) bool {
	x := b.index
	k := &b.next
	x.keyer.encrypt(k, b.tenant, id)
	seen := x.view.Load()
	if seen.inRuns(x, k) {
		x.stats.duplicates.Add(1)
		return false
	}
	if b.flight == nil {
		b.flight = x.depart()
	}
	n := k.low() % shardCount
	s := &x.shards[n]
	s.mu.Lock()
	defer s.mu.Unlock()
	if other, ok := s.flights[*k]; ok {
		x.stats.duplicates.Add(1)
		if other != b.flight {
			b.others = append(b.others, other)
		}
		return false
	}
	// Inside the lock: what landed before is in this view.
	now := x.view.Load()
	if now.inGenerations(n, k) || now != seen && now.inRuns(x, k) {
		x.stats.duplicates.Add(1)
		return false
	}
	s.flights[*k] = b.flight
	b.keys = append(b.keys, *k)
	return true
}

// Done tells how the append of the batch's new events went, and the place of
// the first of them. With an error the ids are free again, unless the error
// leaves the outcome open (a context's end): then they stay taken until the log
// tells.
func (b *Batch) Done(first int64, err error) {
	f := b.flight
	if f == nil {
		return
	}
	b.flight = nil
	x := b.index
	if err != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		x.doubt(f, append([]key(nil), b.keys...))
		return
	}
	if err == nil && first > 0 {
		seq, _ := headlessly.SplitLogSeq(first)
		x.advance(seq)
	}
	x.land(f, b.keys, err)
}

// Release gives up the ids of a batch that was not appended. After Done it does
// nothing, so it may be deferred.
func (b *Batch) Release() {
	if b.flight != nil {
		b.index.land(b.flight, b.keys, errReleased)
		b.flight = nil
	}
	clear(b.others)
	b.others = b.others[:0]
}

var errReleased = errors.New("the request that sent this id first was given up")

// Wait blocks until the ids that other requests were appending are durable, and
// gives the error of the first append that failed, or the context's. Call it
// after Done, so that no two requests wait for each other.
func (b *Batch) Wait(ctx context.Context) error {
	for _, f := range b.others {
		landed, err := f.outcome()
		if landed != nil {
			select {
			case <-landed:
				_, err = f.outcome()
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
