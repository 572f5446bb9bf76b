package graph

import (
	"context"
	"errors"
	"sync"
)

// keyLocks let one mutation of an entity at a time through, so that mutations
// in one process wait for each other instead of conflicting.
type keyLocks struct {
	mu    sync.Mutex
	locks map[string]*keyLock
}

type keyLock struct {
	held chan struct{} // holds one token while locked
	refs int
}

// errBusy means that try found the key locked.
var errBusy = errors.New("entity is being changed")

// lock waits for the key; release must be called once.
func (k *keyLocks) lock(ctx context.Context, key string) (release func(), err error) {
	l := k.take(key)
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; k.drop(key, l) }, nil
	case <-ctx.Done():
		k.drop(key, l)
		return nil, ctx.Err()
	}
}

// try takes the key if nobody has it, else it gives nil.
func (k *keyLocks) try(key string) (release func()) {
	l := k.take(key)
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; k.drop(key, l) }
	default:
		k.drop(key, l)
		return nil
	}
}

func (k *keyLocks) take(key string) *keyLock {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.locks[key]
	if l == nil {
		if k.locks == nil {
			k.locks = map[string]*keyLock{}
		}
		l = &keyLock{held: make(chan struct{}, 1)}
		k.locks[key] = l
	}
	l.refs++
	return l
}

func (k *keyLocks) drop(key string, l *keyLock) {
	k.mu.Lock()
	if l.refs--; l.refs == 0 {
		delete(k.locks, key)
	}
	k.mu.Unlock()
}
