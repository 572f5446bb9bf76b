package lakehouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/headlessly/headlessly"
)

// EventFilter picks events; what is empty does not restrict.
type EventFilter struct {
	Tenant string
	// From (inclusive) and To (exclusive) are times of receipt.
	From, To time.Time
	// IDs are message ids as the table has them: UUIDs.
	IDs []string
	// Users and Visitors pick events with one of these user ids or one of
	// these anonymous ids; together they are a union.
	Users, Visitors []string
	// CommittedOnly leaves out what is acknowledged and not yet committed.
	CommittedOnly bool

	// Columns are those to read, nil for all; the other fields of an event stay
	// empty. What the filter looks at must be among them.
	Columns []string
}

// Events yields the events that a filter picks, each once, a file at a time
// with the oldest days first; within a day in no order. What is in the log when
// the iteration begins is among them. It reads the tables as they are then,
// blocks on files and on the log, and ends at the first error. Memory holds one
// record batch, whatever the number of events.
func (l *Lake) Events(ctx context.Context, f EventFilter) iter.Seq2[headlessly.Event, error] {
	return func(yield func(headlessly.Event, error) bool) {
		fail := func(err error) { yield(headlessly.Event{}, err) }
		match := f.matcher()
		var tail tailReader
		var err error
		if !f.CommittedOnly {
			if tail, err = l.uncommitted(ctx); err != nil {
				fail(err)
				return
			}
		}
		t, err := l.load(ctx, TableEvents)
		if err != nil {
			fail(err)
			return
		}
		for e, err := range f.committed(ctx, t) {
			if err != nil {
				fail(err)
				return
			}
			if match(&e) && !yield(e, nil) {
				return
			}
		}
		if tail == nil {
			return
		}
		err = tail(ctx, func(name string, b tailBatch) error {
			if name != TableEvents {
				return nil
			}
			through, err := committedThrough(t, b.key)
			if err != nil {
				return err
			}
			return b.events(through, func(e headlessly.Event) bool { return !match(&e) || yield(e, nil) })
		})
		if err != nil && !errors.Is(err, errStopped) {
			fail(err)
		}
	}
}

// events yields the events of the frames behind through; [errStopped] says that
// yield wanted no more.
func (b tailBatch) events(through uint64, yield func(headlessly.Event) bool) error {
	for i := range b.rows {
		r := &b.rows[i]
		if frameOf(r.seq) <= through {
			continue
		}
		e := eventRow{}
		if err := e.UnmarshalBinary(r.data); err != nil {
			return fmt.Errorf("log record %d: %w", r.seq, err)
		}
		e.LogSeq, e.ReceivedAt, e.MessageID = r.seq, r.received, r.id.String()
		if !yield(e.Event) {
			return errStopped
		}
	}
	return nil
}

// matcher is the whole filter, for events at hand.
func (f *EventFilter) matcher() func(*headlessly.Event) bool {
	set := func(list []string) map[string]bool {
		m := make(map[string]bool, len(list))
		for _, s := range list {
			m[s] = true
		}
		return m
	}
	ids, users, visitors := set(f.IDs), set(f.Users), set(f.Visitors)
	from, to := int64(0), int64(maxTime)
	if !f.From.IsZero() {
		from = f.From.UnixMicro()
	}
	if !f.To.IsZero() {
		to = f.To.UnixMicro() - 1
	}
	return func(e *headlessly.Event) bool {
		return (f.Tenant == "" || e.Tenant == f.Tenant) &&
			e.ReceivedAt >= from && e.ReceivedAt <= to &&
			(len(ids) == 0 || ids[e.MessageID]) &&
			(len(users)+len(visitors) == 0 || users[e.UserID] || visitors[e.AnonymousID])
	}
}

// expression is what of the filter prunes files.
func (f *EventFilter) expression() iceberg.BooleanExpression {
	var all iceberg.BooleanExpression = iceberg.AlwaysTrue{}
	if f.Tenant != "" {
		all = iceberg.NewAnd(all, iceberg.EqualTo(iceberg.Reference("tenant"), f.Tenant))
	}
	if !f.From.IsZero() {
		all = iceberg.NewAnd(all, iceberg.GreaterThanEqual(iceberg.Reference("received_at"), iceberg.Timestamp(f.From.UnixMicro())))
	}
	if !f.To.IsZero() {
		all = iceberg.NewAnd(all, iceberg.LessThan(iceberg.Reference("received_at"), iceberg.Timestamp(f.To.UnixMicro())))
	}
	return all
}

// committed yields the rows of every file that may hold a match.
func (f *EventFilter) committed(ctx context.Context, t *table.Table) iter.Seq2[headlessly.Event, error] {
	return func(yield func(headlessly.Event, error) bool) {
		if t.CurrentSnapshot() == nil {
			return
		}
		tasks, err := t.Scan(table.WithRowFilter(f.expression())).PlanFiles(ctx)
		if err != nil {
			yield(headlessly.Event{}, fmt.Errorf("plan %s: %w", TableEvents, err))
			return
		}
		tasks = wholeFiles(tasks)
		slices.SortStableFunc(tasks, func(a, b table.FileScanTask) int { return cmp.Compare(dayOf(a.File), dayOf(b.File)) })
		for _, task := range tasks {
			for rec, err := range recordsOf(ctx, t, task, f.Columns...) {
				if err != nil {
					yield(headlessly.Event{}, err)
					return
				}
				err = readEvents(rec, yield)
				rec.Release()
				if err == errStopped { //nolint:errorlint // a mark of our own, never wrapped
					return
				}
				if err != nil {
					yield(headlessly.Event{}, fmt.Errorf("read %s: %w", task.File.FilePath(), err))
					return
				}
			}
		}
	}
}

// wholeFiles turns a plan's tasks into one for each file.
func wholeFiles(tasks []table.FileScanTask) []table.FileScanTask {
	seen := map[string]bool{}
	var out []table.FileScanTask
	for _, task := range tasks {
		if !seen[task.File.FilePath()] {
			seen[task.File.FilePath()] = true
			task.Start, task.Length = 0, task.File.FileSizeBytes()
			out = append(out, task)
		}
	}
	return out
}

// readEvents yields a record batch's rows.
func readEvents(rec arrow.RecordBatch, yield func(headlessly.Event, error) bool) error {
	var e headlessly.Event
	setters, err := eventSetters(rec, &e)
	if err != nil {
		return err
	}
	for i := range int(rec.NumRows()) {
		e = headlessly.Event{}
		for _, set := range setters {
			set(i)
		}
		if !yield(e, nil) {
			return errStopped
		}
	}
	return nil
}
