package forwardertest

import (
	"context"
	"errors"
	"iter"
	"sort"
	"sync"

	"github.com/headlessly/headlessly"
)

// Log is a log in memory. It outlives the routers that read it, so a test can
// stop one and start the next.
type Log struct {
	Clock headlessly.Clock

	mu        sync.Mutex
	frames    []headlessly.Frame
	trimmed   uint64
	damaged   map[uint64]error
	committed map[string]uint64
	news      chan struct{}
}

// NewLog makes an empty log.
func NewLog(clock headlessly.Clock) *Log {
	return &Log{Clock: clock, committed: map[string]uint64{}, damaged: map[uint64]error{}, news: make(chan struct{})}
}

// Events appends events as one frame.
func (l *Log) Events(events ...*headlessly.Event) {
	records := make([]headlessly.Record, 0, len(events))
	for _, e := range events {
		b, _ := e.MarshalBinary() // never fails
		records = append(records, headlessly.Record{Kind: headlessly.RecordEvent, Data: b})
	}
	_, _ = l.Append(context.Background(), records...) // nor does this
}

// Append implements headlessly.Appender.
func (l *Log) Append(ctx context.Context, records ...headlessly.Record) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	seq := uint64(len(l.frames) + 1)
	l.frames = append(l.frames, headlessly.Frame{Seq: seq, Time: l.Clock(), Records: records})
	close(l.news)
	l.news = make(chan struct{})
	return headlessly.LogSeq(seq, 0), nil
}

// Read implements headlessly.LogReader.
func (l *Log) Read(ctx context.Context, from uint64) iter.Seq2[headlessly.Frame, error] {
	return func(yield func(headlessly.Frame, error) bool) {
		from = max(1, from)
		for {
			l.mu.Lock()
			news := l.news
			var f headlessly.Frame
			var err error
			from = max(from, l.trimmed+1)
			ok := from <= uint64(len(l.frames))
			if ok {
				if f, err = l.frames[from-1], l.damaged[from]; err != nil {
					f = headlessly.Frame{}
				}
			}
			l.mu.Unlock()
			if ok {
				from++
				if !yield(f, err) {
					return
				}
				continue
			}
			select {
			case <-news:
			case <-ctx.Done():
				return
			}
		}
	}
}

// ReadTo implements headlessly.RangeReader.
func (l *Log) ReadTo(ctx context.Context, from, to uint64) iter.Seq2[headlessly.Frame, error] {
	return func(yield func(headlessly.Frame, error) bool) {
		l.mu.Lock()
		end := min(to, uint64(len(l.frames)))
		gone := l.trimmed >= end
		l.mu.Unlock()
		if gone || from > end {
			return
		}
		for f, err := range l.Read(ctx, from) {
			if err == nil && f.Seq > end || !yield(f, err) {
				return
			}
			var gap *headlessly.GapError
			var corrupt *headlessly.CorruptError
			if errors.As(err, &gap) {
				f.Seq = gap.To
			} else if errors.As(err, &corrupt) {
				f.Seq = corrupt.Seq
			}
			if f.Seq >= end {
				return
			}
		}
	}
}

// Trim removes the frames up to seq.
func (l *Log) Trim(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trimmed = max(l.trimmed, seq)
}

// Damage has reads give err in place of frame seq.
func (l *Log) Damage(seq uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.damaged[seq] = err
}

// Last implements headlessly.LogReader.
func (l *Log) Last(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.frames)), nil
}

// Committed implements headlessly.LogReader.
func (l *Log) Committed(_ context.Context, reader string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.committed[reader], nil
}

// Commit implements headlessly.LogReader.
func (l *Log) Commit(ctx context.Context, reader string, seq uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.committed[reader] = max(l.committed[reader], seq)
	return nil
}

// Parked is a parked store in memory. Fail, when set, is asked before each
// Park.
type Parked struct {
	Fail func() error

	mu    sync.Mutex
	bad   map[uint64]error // what List gives in place of an item
	last  uint64
	items map[uint64]headlessly.ParkedItem
	ids   []uint64 // in order; removed ones leave holes
}

// NewParked makes an empty store.
func NewParked() *Parked { return &Parked{items: map[uint64]headlessly.ParkedItem{}} }

// Park implements headlessly.Parked.
func (p *Parked) Park(ctx context.Context, items ...headlessly.ParkedItem) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.Fail != nil {
		if err := p.Fail(); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, it := range items {
		p.last++
		it.ID = p.last
		p.items[it.ID] = it
		p.ids = append(p.ids, it.ID)
	}
	return nil
}

// List implements headlessly.Parked.
func (p *Parked) List(_ context.Context, tenant, destination string) iter.Seq2[headlessly.ParkedItem, error] {
	return func(yield func(headlessly.ParkedItem, error) bool) {
		var after uint64
		for {
			p.mu.Lock()
			at := sort.Search(len(p.ids), func(i int) bool { return p.ids[i] > after })
			var it headlessly.ParkedItem
			found := false
			for ; at < len(p.ids) && !found; at++ {
				after = p.ids[at]
				it, found = p.items[after]
				found = found && (tenant == "" || it.Tenant == tenant) && (destination == "" || it.Destination == destination)
			}
			bad := p.bad[after]
			p.mu.Unlock()
			if !found {
				return
			}
			if bad != nil {
				it = headlessly.ParkedItem{}
			}
			if !yield(it, bad) {
				return
			}
		}
	}
}

// Damage has List give err in place of item id.
func (p *Parked) Damage(id uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bad == nil {
		p.bad = map[uint64]error{}
	}
	p.bad[id] = err
}

// Remove implements headlessly.Parked.
func (p *Parked) Remove(ctx context.Context, ids ...uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		delete(p.items, id)
	}
	if len(p.ids) > 2*len(p.items)+1024 {
		keep := p.ids[:0]
		for _, id := range p.ids {
			if _, ok := p.items[id]; ok {
				keep = append(keep, id)
			}
		}
		p.ids = keep
	}
	return nil
}

// Count implements headlessly.Parked.
func (p *Parked) Count(context.Context) (map[headlessly.ParkedKey]int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[headlessly.ParkedKey]int64{}
	for _, it := range p.items {
		out[headlessly.ParkedKey{Tenant: it.Tenant, Destination: it.Destination, Dead: it.Dead, Unknown: it.Unknown}]++
	}
	return out, nil
}

// All gives every item, oldest first.
func (p *Parked) All() []headlessly.ParkedItem {
	var out []headlessly.ParkedItem
	for it, err := range p.List(context.Background(), "", "") {
		if err == nil { // memory never fails
			out = append(out, it)
		}
	}
	return out
}

// Source is a changeable source of destinations.
type Source struct {
	mu      sync.Mutex
	tenants map[string]headlessly.Destinations
	version map[string]uint64
}

// NewSource makes a source without tenants.
func NewSource() *Source {
	return &Source{tenants: map[string]headlessly.Destinations{}, version: map[string]uint64{}}
}

// Set connects a tenant.
func (s *Source) Set(tenant string, d headlessly.Destinations) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tenants[tenant] = d
	s.version[tenant]++
}

// Destinations implements headlessly.DestinationSource.
func (s *Source) Destinations(tenant string) (headlessly.Destinations, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tenants[tenant], s.version[tenant]
}
