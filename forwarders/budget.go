package forwarders

import (
	"context"
	"sync/atomic"
)

// budget bounds what all lanes hold in memory together. A lane may hold as
// much as is still free, so one alone gets half of everything and there is
// always room for another.
type budget struct {
	maxItems, maxBytes int64
	items, bytes       atomic.Int64
}

func (b *budget) add(n, size int64) {
	b.items.Add(n)
	b.bytes.Add(size)
}

func (b *budget) fits(held, size int64) bool {
	return held < b.maxItems-b.items.Load() && b.bytes.Load()+size <= b.maxBytes
}

// slots bounds concurrent calls; lanes that are failing or slow share a
// smaller number, so that they cannot use up all.
type slots struct{ all, suspect chan struct{} }

func newSlots(all, suspect int) *slots {
	return &slots{all: make(chan struct{}, all), suspect: make(chan struct{}, suspect)}
}

func (s *slots) acquire(ctx context.Context, suspect bool) (release func(), ok bool) {
	if suspect {
		select {
		case s.suspect <- struct{}{}:
		case <-ctx.Done():
			return nil, false
		}
	}
	select {
	case s.all <- struct{}{}:
	case <-ctx.Done():
		if suspect {
			<-s.suspect
		}
		return nil, false
	}
	return func() {
		<-s.all
		if suspect {
			<-s.suspect
		}
	}, true
}
