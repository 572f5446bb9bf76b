package graph

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/headlessly/headlessly"
)

// LogReader gives the graph's events as a log of [headlessly.EntityEvent]
// records, a frame for each event under its Seq, so that the lakehouse writes
// them as it writes its other tables. Frames do not follow each other by one.
func (s *Store) LogReader() (headlessly.LogReader, error) {
	shelf, err := s.Shelf("reader")
	if err != nil {
		return nil, err
	}
	return &logReader{store: s, cursors: shelf}, nil
}

type logReader struct {
	store   *Store
	cursors *Shelf
}

// Read implements headlessly.LogReader.
func (l *logReader) Read(ctx context.Context, from uint64) iter.Seq2[headlessly.Frame, error] {
	return func(yield func(headlessly.Frame, error) bool) {
		for e, err := range l.store.Follow(ctx, "", max(from, 1)-1) {
			if err != nil {
				yield(headlessly.Frame{}, fmt.Errorf("read the graph's events: %w", err))
				return
			}
			f, err := frame(e)
			if err != nil {
				err = &headlessly.CorruptError{Seq: e.Seq, Err: err}
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

func frame(e *Event) (headlessly.Frame, error) {
	data := string(e.Data)
	if data == "" {
		data = "{}"
	}
	raw, err := (&headlessly.EntityEvent{
		ID: e.ID, Tenant: e.Tenant, Event: e.Name, Type: e.EntityType(), Entity: e.Target, Actor: e.Actor, Time: e.Time,
		Version: e.Version, Seq: bounded(e.Seq), Data: data, Whole: e.Version == 1, Deleted: e.Deleted, Cause: e.Cause,
	}).AppendBinary(nil)
	if err != nil {
		return headlessly.Frame{}, err
	}
	return headlessly.Frame{Seq: e.Seq, Time: time.UnixMicro(e.Time).UTC(), Records: []headlessly.Record{{Kind: headlessly.RecordEntityEvent, Data: raw}}}, nil
}

// Last implements headlessly.LogReader. It is what this process shows: a
// mutation that has been acknowledged here is in it.
func (l *logReader) Last(ctx context.Context) (uint64, error) { return l.store.lastEvent(ctx) }

// Committed implements headlessly.LogReader.
func (l *logReader) Committed(ctx context.Context, reader string) (uint64, error) {
	seq, _, err := l.cursor(ctx, reader)
	return seq, err
}

func (l *logReader) cursor(ctx context.Context, reader string) (seq, rev uint64, err error) {
	value, rev, err := l.cursors.Get(ctx, reader)
	if err != nil || rev == 0 {
		return 0, 0, err
	}
	if seq, err = strconv.ParseUint(string(value), 10, 64); err != nil {
		return 0, 0, fmt.Errorf("cursor of %s: %w", reader, err)
	}
	return seq, rev, nil
}

// Commit implements headlessly.LogReader.
func (l *logReader) Commit(ctx context.Context, reader string, seq uint64) error {
	for {
		at, rev, err := l.cursor(ctx, reader)
		if err != nil || at >= seq {
			return err
		}
		if _, err = l.cursors.Put(ctx, reader, strconv.AppendUint(nil, seq, 10), rev); !errors.Is(err, ErrStale) {
			return err
		}
	}
}
