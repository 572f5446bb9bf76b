package graph

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Progress tells how far a projection has come.
type Progress struct {
	Done, Total uint64 // sequences of the log
}

// progressEvery is how often progress is told.
const progressEvery = 250 * time.Millisecond

// Rebuild throws the projection away and builds it from the log, beside the old
// one, which answers until the new one has caught up. progress may be nil; it is
// called a few times a second and once at the end.
func (s *Store) Rebuild(ctx context.Context, progress func(Progress)) error {
	s.rebuilding.Lock()
	defer s.rebuilding.Unlock()
	highest, _, err := s.generations()
	if err != nil {
		return err
	}
	fresh, err := s.newProjection(ctx, highest+1)
	if err != nil {
		return err
	}
	if err := s.catchUp(ctx, fresh, progress); err != nil {
		fresh.close()
		_ = s.remove(highest + 1)
		return fmt.Errorf("rebuild the graph's projection: %w", err)
	}
	old := s.projection.Load()
	s.start(fresh) //nolint:contextcheck // it follows the log until Close, not until ctx ends
	if err := s.takeOver(ctx, old, fresh); err != nil {
		fresh.retire()
		return errors.Join(fmt.Errorf("rebuild the graph's projection: %w", err), s.remove(highest+1))
	}
	old.retire()
	return s.remove(highest)
}

// takeOver has readers read from fresh, once it shows all that old has shown:
// nothing that was visible may disappear. The last of it is awaited while
// nobody reads, since old goes on until then.
func (s *Store) takeOver(ctx context.Context, old, fresh *projection) error {
	at, _ := old.position()
	if err := fresh.wait(ctx, at); err != nil {
		return err
	}
	s.viewing.Lock()
	defer s.viewing.Unlock()
	at, _ = old.position()
	if err := fresh.wait(ctx, at); err != nil {
		return err
	}
	s.projection.Store(fresh)
	return nil
}

// catchUp projects everything that the log holds now.
func (s *Store) catchUp(ctx context.Context, p *projection, progress func(Progress)) error {
	last, err := s.last(ctx)
	if err != nil {
		return err
	}
	if last == 0 {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- p.follow(ctx, s.stream, last) }()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	tell := func() {
		if at, _ := p.position(); progress != nil {
			progress(Progress{Done: at, Total: max(last, at)})
		}
	}
	for {
		select {
		case err := <-done:
			if err == nil {
				tell()
			}
			return err
		case <-tick.C:
			tell()
		}
	}
}
