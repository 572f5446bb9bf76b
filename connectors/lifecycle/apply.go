package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

// errEarly means that a change is about an object of our own making whose
// mutation is not in the graph yet.
var errEarly = errors.New("the object is of our own making, and its entity is not stored yet")

const (
	applyAtOnce = 500 // changes of one batch
	askAtOnce   = 8   // objects that are read again at the same time
	applyTries  = 4   // of a change that lost a race
)

// objectKey tells objects apart.
type objectKey struct{ typ, key, id string }

func keyOf(ch *connectors.Change) objectKey { return objectKey{ch.Type, ch.Key, ch.ID} }

// apply makes the mutations that changes stand for, and gives an error for each
// that could not be made. The second error is that of the graph: what is not
// applied then can be applied again.
func (c *Connections) apply(ctx context.Context, l *connectors.Link, changes []connectors.Change) ([]error, error) {
	ctx = connectors.Own(ctx)
	errs := make([]error, len(changes))
	var gone []string
	for i := range changes {
		if changes[i].Gone {
			gone = append(gone, tomb(&changes[i]))
		}
	}
	if err := c.cfg.Store.NoteSeen(ctx, l.ID, gone...); err != nil {
		return errs, err
	}
	for chunk := range slices.Chunk(indexes(len(changes)), applyAtOnce) {
		for len(chunk) > 0 { // those of one object one after the other
			var now, later []int
			taken := map[objectKey]bool{}
			for _, i := range chunk {
				if k := keyOf(&changes[i]); taken[k] {
					later = append(later, i)
				} else {
					taken[k] = true
					now = append(now, i)
				}
			}
			if err := c.applyEach(ctx, l, changes, now, errs); err != nil {
				return errs, err
			}
			chunk = later
		}
	}
	return errs, nil
}

func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// applyEach applies changes of different objects. Those that lost a race are
// looked at again.
func (c *Connections) applyEach(ctx context.Context, l *connectors.Link, changes []connectors.Change, at []int, errs []error) error {
	for try := 1; len(at) > 0; try++ {
		known, err := c.lookUp(ctx, l, changes, at)
		if err != nil {
			return err
		}
		if err := c.order(ctx, l, changes, at, known, errs); err != nil {
			return err
		}
		var again []int
		var ops []graph.Op
		var steps [][]graph.Op
		var of []int
		for _, i := range at {
			if errs[i] != nil || changes[i].Type == "" {
				continue
			}
			first, rest, err := c.plan(l, &changes[i], known)
			if err != nil {
				errs[i] = err
				continue
			}
			if first.Type == "" && len(rest) > 0 {
				first, rest = rest[0], rest[1:]
			}
			if e := known[keyOf(&changes[i])]; e != nil {
				first.IfVersion = e.Version // what the plan was made on
			}
			if first.Type != "" {
				ops, steps, of = append(ops, first), append(steps, rest), append(of, i)
			}
		}
		for len(ops) > 0 {
			results, err := l.Graph.Batch(ctx, ops)
			if err != nil {
				return err
			}
			var nextOps []graph.Op
			var nextSteps [][]graph.Op
			var nextOf []int
			for n, r := range results {
				switch code := graph.CodeOf(r.Err); {
				case code == graph.CodeUnavailable:
					return r.Err
				case code == graph.CodeConflict || code == graph.CodeNotFound || code == graph.CodeVersionMismatch:
					if try < applyTries {
						again = append(again, of[n])
					} else if code != graph.CodeNotFound && ops[n].NewID == "" {
						errs[of[n]] = r.Err
					} // else the entity was deleted here, and stays so
				case r.Err != nil:
					errs[of[n]] = r.Err
				case len(steps[n]) > 0:
					steps[n][0].IfVersion = r.Entity.Version
					nextOps, nextSteps, nextOf = append(nextOps, steps[n][0]), append(nextSteps, steps[n][1:]), append(nextOf, of[n])
				}
			}
			ops, steps, of = nextOps, nextSteps, nextOf
		}
		at = again
	}
	return nil
}

// lookUp finds the entities of the changes' objects and of those that they
// refer to.
func (c *Connections) lookUp(ctx context.Context, l *connectors.Link, changes []connectors.Change, at []int) (map[objectKey]*graph.Entity, error) {
	wanted := map[[2]string]map[string]bool{}
	want := func(typ, key, id string) {
		if id == "" {
			return
		}
		k := [2]string{typ, key}
		if wanted[k] == nil {
			wanted[k] = map[string]bool{}
		}
		wanted[k][id] = true
	}
	for _, i := range at {
		ch := &changes[i]
		want(ch.Type, ch.Key, ch.ID)
		for _, r := range ch.Refs {
			want(r.Type, r.Key, r.ID)
		}
	}
	known := map[objectKey]*graph.Entity{}
	for k, ids := range wanted {
		if k[0] == "" {
			continue
		}
		for some := range slices.Chunk(slices.Sorted(maps.Keys(ids)), graph.MaxLimit) {
			list := make([]any, len(some))
			for i, id := range some {
				list[i] = id
			}
			page, err := l.Graph.Find(ctx, graph.Query{Type: k[0], Filter: map[string]any{k[1]: map[string]any{"$in": list}}, Limit: graph.MaxLimit, NoTotal: true})
			if err != nil {
				return nil, err
			}
			for _, e := range page.Results {
				known[objectKey{k[0], k[1], e.Text(k[1])}] = e
			}
		}
	}
	return known, nil
}

// order drops changes that are older than what the entity shows, and reads
// objects again where that is not clear. A change without a type is dropped.
func (c *Connections) order(ctx context.Context, l *connectors.Link, changes []connectors.Change, at []int, known map[objectKey]*graph.Entity, errs []error) error {
	var ask []int
	var tombs []string
	for _, i := range at {
		ch := &changes[i]
		e := known[keyOf(ch)]
		switch {
		case errs[i] != nil || ch.Type == "":
		case e == nil && (ch.Gone || ch.Partial):
			*ch = connectors.Change{}
		case e == nil && ch.Origin != "" && c.cfg.Clock().Sub(ch.Made) < c.cfg.Grace:
			errs[i] = errEarly
		case e != nil && c.inFlight(e.ID):
			errs[i] = errEarly
		case ch.Stale && ch.Again != nil && !ch.Gone:
			if e != nil && ch.At.Before(syncedAt(e)) {
				*ch = connectors.Change{}
			} else {
				ask = append(ask, i)
			}
		case e == nil && !ch.Fresh && ch.Again != nil:
			ask = append(ask, i)
		case e == nil:
			tombs = append(tombs, tomb(ch))
		case ch.Gone:
		default:
			switch shown := syncedAt(e); {
			case ch.At.Before(shown):
				*ch = connectors.Change{}
			case ch.At.Equal(shown) && ch.Again != nil && len(c.changed(l, ch, e, known)) > 0:
				ask = append(ask, i)
			}
		}
	}
	if len(tombs) > 0 {
		gone, err := c.cfg.Store.Seen(ctx, l.ID, tombs...)
		if err != nil {
			return err
		}
		for _, i := range at {
			if ch := &changes[i]; ch.Type != "" && gone[tomb(ch)] && known[keyOf(ch)] == nil {
				*ch = connectors.Change{}
			}
		}
	}
	c.askAgain(ctx, changes, ask, errs)
	return nil
}

// askAgain reads objects at the provider.
func (c *Connections) askAgain(ctx context.Context, changes []connectors.Change, ask []int, errs []error) {
	var all sync.WaitGroup
	slots := make(chan struct{}, askAtOnce)
	for _, i := range ask {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			before := changes[i]
			now, err := before.Again(ctx)
			if err != nil {
				errs[i] = err
				return
			}
			now.Again, now.Stale = nil, false
			if now.Gone && before.Type != "" {
				now.Type, now.Key, now.ID = before.Type, before.Key, before.ID
			}
			changes[i] = now
		})
	}
	all.Wait()
}

// tomb notes that an object is gone.
func tomb(ch *connectors.Change) string { return "gone:" + ch.Key + ":" + ch.ID }

func syncedAt(e *graph.Entity) time.Time {
	at, err := time.Parse(time.RFC3339Nano, e.Text(connectors.FieldSyncedAt))
	if err != nil {
		return time.Time{}
	}
	return at
}

// wanted is what an entity's fields should be, by a change.
func (c *Connections) wanted(l *connectors.Link, ch *connectors.Change, known map[objectKey]*graph.Entity) (map[string]any, error) {
	out := maps.Clone(ch.Fields)
	if out == nil {
		out = map[string]any{}
	}
	out[ch.Key], out[connectors.FieldIntegration] = ch.ID, l.ID
	for field, r := range ch.Refs {
		if r.ID == "" {
			out[field] = nil
			continue
		}
		if e := known[objectKey{r.Type, r.Key, r.ID}]; e != nil {
			out[field] = e.ID
			continue
		}
		id, err := c.cfg.Graph.DerivedID(r.Type, l.ID, r.Key, r.ID)
		if err != nil {
			return nil, err
		}
		out[field] = id
	}
	return out, nil
}

// changed are the fields of an entity that a change changes.
func (c *Connections) changed(l *connectors.Link, ch *connectors.Change, e *graph.Entity, known map[objectKey]*graph.Entity) map[string]any {
	want, err := c.wanted(l, ch, known)
	if err != nil {
		return nil
	}
	now := e.Fields()
	if ch.Fit != nil {
		ch.Fit(now, want)
	}
	maps.DeleteFunc(want, func(f string, v any) bool { return same(now[f], v) })
	return want
}

// plan gives the mutation of a change, and those that follow it.
func (c *Connections) plan(l *connectors.Link, ch *connectors.Change, known map[objectKey]*graph.Entity) (first graph.Op, rest []graph.Op, err error) {
	e := known[keyOf(ch)]
	at := graph.FormatTime(ch.At.UnixMicro())
	if e == nil && ch.Gone {
		return first, nil, nil
	}
	if e == nil {
		args, err := c.wanted(l, ch, known)
		if err != nil {
			return first, nil, err
		}
		maps.DeleteFunc(args, func(_ string, v any) bool { return v == nil })
		args[connectors.FieldSyncedAt] = at
		id, err := c.cfg.Graph.DerivedID(ch.Type, l.ID, ch.Key, ch.ID)
		if ch.Steps != nil {
			for _, s := range ch.Steps(nil, args) {
				rest = append(rest, graph.Op{Type: ch.Type, Verb: s.Verb, ID: id, Args: pick(args, s.Fields)})
			}
		}
		return graph.Op{Type: ch.Type, Verb: graph.VerbCreate, NewID: id, Args: args}, rest, err
	}
	if ch.Gone {
		return graph.Op{Type: ch.Type, Verb: graph.VerbDelete, ID: e.ID}, nil, nil
	}
	changed := c.changed(l, ch, e, known)
	if len(changed) == 0 {
		return first, nil, nil
	}
	var steps []connectors.Step
	if ch.Steps != nil {
		now := e.Fields()
		after := maps.Clone(now)
		maps.Copy(after, changed)
		steps = ch.Steps(now, after)
	}
	for _, s := range steps {
		args := map[string]any{}
		for _, f := range s.Fields {
			if v, ok := changed[f]; ok {
				args[f] = v
				delete(changed, f)
			} else if v, ok := e.Fields()[f]; ok {
				args[f] = v // so that the verb's own effect does not set it
			}
		}
		rest = append(rest, graph.Op{Type: ch.Type, Verb: s.Verb, ID: e.ID, Args: args})
	}
	changed[connectors.FieldSyncedAt] = at
	return graph.Op{Type: ch.Type, Verb: graph.VerbUpdate, ID: e.ID, Args: changed}, rest, nil
}

func pick(from map[string]any, names []string) map[string]any {
	out := map[string]any{}
	for _, f := range names {
		if v, ok := from[f]; ok {
			out[f] = v
		}
	}
	return out
}

// rejects joins the errors of changes that no retry mends, for people.
func rejects(errs []error) (n int, first error) {
	for _, err := range errs {
		if err != nil && !errors.Is(err, errEarly) {
			if n++; first == nil {
				first = err
			}
		}
	}
	if n > 0 {
		first = fmt.Errorf("%d objects could not be taken over, the first because: %w", n, first)
	}
	return n, first
}
