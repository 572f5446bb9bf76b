package dedupe

import "sync"

// shardCount spreads the locks; two dozen cores rarely meet on 64.
const shardCount = 64

// shard guards the ids with one prefix.
type shard struct {
	mu      sync.Mutex
	flights map[key]*flight // ids on their way into the log
}

// generation is the ids that reached the log during some time. It is filled
// until the next one begins and then written to a run once the last flight
// that began in it has landed. Each set is guarded by the shard of its number.
type generation struct {
	keys    [shardCount]keySet
	flights sync.WaitGroup
	began   int64 // µs
}

func newGeneration(now int64) *generation {
	return &generation{began: now}
}

// all gives the keys in no order; call it once nothing is added any more.
func (g *generation) all() []key {
	n := 0
	for i := range g.keys {
		n += g.keys[i].len()
	}
	out := make([]key, 0, n)
	for i := range g.keys {
		out = g.keys[i].appendTo(out)
	}
	return out
}

// flight is one request's append while it is under way.
type flight struct {
	gen   *generation
	floor uint64 // its frame comes after this one

	mu     sync.Mutex
	landed bool
	err    error
	wait   chan struct{} // made by the first who waits
}

func (f *flight) land(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.landed, f.err = true, err
	if f.wait != nil {
		close(f.wait)
	}
}

// outcome gives a channel that is closed once err is final, nil when it is.
func (f *flight) outcome() (<-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.landed {
		return nil, f.err
	}
	if f.wait == nil {
		f.wait = make(chan struct{})
	}
	return f.wait, nil
}
