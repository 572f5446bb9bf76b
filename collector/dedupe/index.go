package dedupe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Index is the set of ids. Safe for concurrent use.
type Index struct {
	cfg    Config
	keyer  *keyer
	shards [shardCount]shard
	view   atomic.Pointer[view]
	stats  counters

	mu      sync.RWMutex // guards current; read-locked by each request's start
	current *generation
	seen    atomic.Uint64 // newest frame that is known to be durable
	fresh   atomic.Int64  // ids in current

	writing  sync.Mutex // one flush or merge at a time; guards manifest
	manifest manifest
	wake     chan struct{}
	stop     chan struct{}
	running  sync.WaitGroup
	life     context.Context // ends with Close
	end      context.CancelFunc
}

// view is what lookups see: generations in memory, newest first, and runs. It
// is replaced, never changed.
type view struct {
	gens []*generation
	runs []*run
}

func (v *view) inGenerations(shard uint64, k *key) bool {
	for _, g := range v.gens {
		if g.keys[shard].has(k) {
			return true
		}
	}
	return false
}

func (v *view) inRuns(x *Index, k *key) bool {
	for _, r := range v.runs {
		found, err := r.has(k)
		if err != nil {
			x.stats.readErrors.Add(1)
			continue
		}
		if found {
			return true
		}
	}
	return false
}

// Open reads the index and then what the log holds beyond it. It blocks until
// every id of the log's last day is known.
func Open(ctx context.Context, cfg Config) (*Index, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("dedupe: %w", err)
	}
	x := &Index{cfg: cfg, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	for i := range x.shards {
		x.shards[i].flights = make(map[key]*flight)
	}
	x.life, x.end = context.WithCancel(context.WithoutCancel(ctx))
	runs, err := x.load()
	if err != nil {
		return nil, fmt.Errorf("dedupe: %w", err)
	}
	x.current = newGeneration(x.now())
	x.view.Store(&view{gens: []*generation{x.current}, runs: runs})
	if err := x.catchUp(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("dedupe: read the log: %w", err), x.closeRuns())
	}
	x.running.Go(x.background)
	return x, nil
}

func (x *Index) now() int64 { return x.cfg.Clock().UnixMicro() }

// depart starts a flight in the current generation.
func (x *Index) depart() *flight {
	x.mu.RLock()
	defer x.mu.RUnlock()
	x.current.flights.Add(1)
	return &flight{gen: x.current, floor: x.seen.Load()}
}

// land ends a flight: with a nil error its keys are remembered, else forgotten.
func (x *Index) land(f *flight, keys []key, err error) {
	for i := range keys {
		k := &keys[i]
		n := k.low() % shardCount
		s := &x.shards[n]
		s.mu.Lock()
		delete(s.flights, *k)
		if err == nil {
			f.gen.keys[n].add(k)
		}
		s.mu.Unlock()
	}
	f.land(err)
	f.gen.flights.Done()
	if err == nil && x.fresh.Add(int64(len(keys))) >= int64(x.cfg.MaxKeys) {
		select {
		case x.wake <- struct{}{}:
		default:
		}
	}
}

// advance notes that frame seq is durable.
func (x *Index) advance(seq uint64) {
	for {
		old := x.seen.Load()
		if seq <= old || x.seen.CompareAndSwap(old, seq) {
			return
		}
	}
}

// background writes the ids in memory when they are many or old.
func (x *Index) background() {
	tick := time.NewTicker(x.cfg.FlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-x.stop:
			return
		case <-tick.C:
		case <-x.wake:
			if x.fresh.Load() < int64(x.cfg.MaxKeys) {
				continue
			}
		}
		if err := x.Flush(x.life); err != nil && x.life.Err() == nil {
			x.stats.writeErrors.Add(1)
			x.cfg.Logger.Error("dedupe.flush", "error", err)
		}
	}
}

// Close writes what is in memory and closes the files. No batch may be under
// way or begin.
func (x *Index) Close(ctx context.Context) error {
	close(x.stop)
	err := x.Flush(ctx)
	x.end()
	x.running.Wait()
	return errors.Join(err, x.closeRuns())
}

func (x *Index) closeRuns() error {
	var errs []error
	for _, r := range x.view.Load().runs {
		errs = append(errs, r.file.Close())
	}
	return errors.Join(errs...)
}
