package dedupe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
)

const (
	// slots is in how many parts the window is cut; runs of one slot are merged
	// with each other only, so that whole files grow too old.
	slots = 12
	// fanIn is how many runs of like size are merged into one.
	fanIn = 4
	// maxRunKeys bounds a merged run, and so the memory for making its filter
	// (32 MiB).
	maxRunKeys = 16 << 20
)

// Flush writes the ids in memory to disk, forgets what is too old and merges
// small files. It happens by itself; call it to have it done now.
func (x *Index) Flush(ctx context.Context) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	if err := x.seal(ctx); err != nil {
		return err
	}
	if err := x.expire(); err != nil {
		return err
	}
	for {
		group, more := x.mergeable()
		if !more {
			break
		}
		if err := x.merge(group); err != nil {
			return err
		}
	}
	if err := x.cfg.Log.Commit(ctx, Reader, x.manifest.Cursor); err != nil {
		return fmt.Errorf("note cursor %d in the log: %w", x.manifest.Cursor, err)
	}
	return nil
}

// seal begins a new generation and writes the ones before it.
func (x *Index) seal(ctx context.Context) error {
	// Whatever departs after this call lands behind the log's end as it is now.
	// Frames without an id that could be known, such as those of other writers,
	// must not hold back the log's retention.
	end, err := x.cfg.Log.Last(ctx)
	if err != nil {
		end = 0
	}
	fresh := newGeneration(x.now())
	old := x.view.Load()
	// Shown to lookups before its first id can land.
	v := &view{gens: append([]*generation{fresh}, old.gens...), runs: old.runs}
	x.view.Store(v)
	x.mu.Lock()
	// Who departs from now on lands behind this frame; who departed before is
	// in one of the generations below.
	cursor := max(x.seen.Load(), end)
	x.current = fresh
	x.mu.Unlock()
	x.fresh.Store(0)
	sealed := old.gens
	if err := landed(ctx, sealed); err != nil {
		return err // they stay in the view and are written next time
	}
	var keys []key
	oldest := fresh.began
	for _, g := range sealed {
		keys = append(keys, g.all()...)
		oldest = min(oldest, g.began)
	}
	runs := v.runs
	if len(keys) > 0 {
		slices.SortFunc(keys, compareKeys)
		r, err := x.write(int64(len(keys)), oldest, x.now(), func(add func(*key) error) error {
			for i := range keys {
				if err := add(&keys[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("write %d ids: %w", len(keys), err)
		}
		runs = append(slices.Clone(runs), r)
	} else if cursor == x.manifest.Cursor && x.manifest.Next > 0 {
		x.view.Store(&view{gens: []*generation{fresh}, runs: runs})
		return nil
	}
	x.manifest.Cursor = max(cursor, x.manifest.Cursor)
	if err := x.store(runs); err != nil {
		return err
	}
	x.view.Store(&view{gens: []*generation{fresh}, runs: x.budget(runs)})
	return nil
}

// landed waits until nobody adds to the generations any more.
func landed(ctx context.Context, gens []*generation) error {
	done := make(chan struct{})
	go func() {
		for _, g := range gens {
			g.flights.Wait()
		}
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write makes a run of at most limit keys.
func (x *Index) write(limit, oldest, newest int64, each func(add func(*key) error) error) (*run, error) {
	path := x.newRun()
	w, err := newRunWriter(path, limit)
	if err != nil {
		return nil, err
	}
	if err := each(w.add); err != nil {
		return nil, errors.Join(err, w.file.Close())
	}
	if err := w.finish(oldest, newest); err != nil {
		return nil, err
	}
	return openRun(path)
}

// expire drops the runs whose youngest id is older than the window.
func (x *Index) expire() error {
	runs := x.view.Load().runs
	limit := x.now() - x.cfg.Window.Microseconds()
	old := func(r *run) bool { return r.newest < limit }
	if !slices.ContainsFunc(runs, old) {
		return nil
	}
	var gone []*run
	for _, r := range runs {
		if old(r) {
			gone = append(gone, r)
		}
	}
	return x.replace(gone, nil)
}

// replace takes runs out, puts one in, and deletes the files of the former.
func (x *Index) replace(gone []*run, in *run) error {
	v := x.view.Load()
	var runs []*run
	for _, r := range v.runs {
		if !slices.ContainsFunc(gone, func(g *run) bool { return g.path == r.path }) {
			runs = append(runs, r)
		}
	}
	if in != nil {
		runs = append(runs, in)
		slices.SortStableFunc(runs, func(a, b *run) int { return int(a.newest/1e6 - b.newest/1e6) })
	}
	if err := x.store(runs); err != nil {
		return err
	}
	x.view.Store(&view{gens: v.gens, runs: x.budget(runs)})
	var errs []error
	for _, r := range gone {
		errs = append(errs, os.Remove(filepath.Clean(r.path)))
	}
	return errors.Join(errs...)
}

func (x *Index) slot(us int64) int64 { return us * slots / x.cfg.Window.Microseconds() }

// mergeable picks runs of one slot: all of them once the slot is over, else
// fanIn of like size.
func (x *Index) mergeable() ([]*run, bool) {
	type class struct{ slot, size int64 }
	now := x.slot(x.now())
	groups := map[class][]*run{}
	for _, r := range x.view.Load().runs {
		if r.count > maxRunKeys/2 {
			continue
		}
		c := class{slot: x.slot(r.newest), size: -1}
		need := 2
		if c.slot >= now {
			c.size, need = int64(bits.Len64(uint64(r.count))/2), fanIn
		}
		groups[c] = append(groups[c], r)
		total := int64(0)
		for _, r := range groups[c] {
			total += r.count
		}
		if len(groups[c]) >= need && (c.size >= 0 || total > maxRunKeys/2) {
			return groups[c], true
		}
	}
	for c, g := range groups {
		if c.size < 0 && len(g) > 1 {
			return g, true
		}
	}
	return nil, false
}

// merge makes one run of several.
func (x *Index) merge(group []*run) error {
	var limit int64
	oldest, newest := group[0].oldest, group[0].newest
	sources := make([]*source, len(group))
	for i, r := range group {
		limit += r.count
		oldest, newest = min(oldest, r.oldest), max(newest, r.newest)
		sources[i] = &source{r: bufio.NewReaderSize(io.NewSectionReader(r.file, headerBytes, r.count*keyBytes), 64<<10)}
	}
	merged, err := x.write(limit, oldest, newest, func(add func(*key) error) error { return mergeInto(sources, add) })
	if err != nil {
		return fmt.Errorf("merge %d runs: %w", len(group), err)
	}
	return x.replace(group, merged)
}

// source is one run being merged.
type source struct {
	r    *bufio.Reader
	head key
}

func (s *source) next() (bool, error) {
	_, err := io.ReadFull(s.r, s.head[:])
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil, err
}

func mergeInto(sources []*source, add func(*key) error) error {
	var live []*source
	for _, s := range sources {
		ok, err := s.next()
		if err != nil {
			return err
		}
		if ok {
			live = append(live, s)
		}
	}
	for len(live) > 0 {
		least := 0
		for i := 1; i < len(live); i++ {
			if compareKeys(live[i].head, live[least].head) < 0 {
				least = i
			}
		}
		if err := add(&live[least].head); err != nil {
			return err
		}
		ok, err := live[least].next()
		if err != nil {
			return err
		}
		if !ok {
			live = slices.Delete(live, least, least+1)
		}
	}
	return nil
}
