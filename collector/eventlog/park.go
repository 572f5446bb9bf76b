package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strconv"
	"strings"

	"github.com/headlessly/headlessly"
	"github.com/nats-io/nats.go/jetstream"
)

// Parked items are packed: one message holds items of one tenant, destination
// and state that were parked together, because each message costs an fsync. An
// item's id is the message's sequence and its index ([headlessly.LogSeq]'s
// form). The number of items is the subject's last token, so that they can be
// counted without being read.
const (
	maxPackItems = 256
	// maxPackBytes closes a pack; one item may be larger.
	maxPackBytes = 512 << 10
)

// Park states, as they stand in subjects.
const (
	parkDue     = "due"
	parkDead    = "dead"
	parkUnknown = "unknown"
)

func parkState(it headlessly.ParkedItem) string {
	switch {
	case it.Dead:
		return parkDead
	case it.Unknown:
		return parkUnknown
	}
	return parkDue
}

// Park implements [headlessly.Parked].
func (l *Log) Park(ctx context.Context, items ...headlessly.ParkedItem) error {
	groups := make(map[string][]headlessly.ParkedItem)
	var order []string
	for _, it := range items {
		if !validToken(it.Tenant) || !validToken(it.Destination) {
			return fmt.Errorf("park: tenant %q or destination %q is not a valid name", it.Tenant, it.Destination)
		}
		if it.ParkedAt.IsZero() {
			it.ParkedAt = l.cfg.Clock()
		}
		key := it.Tenant + "." + it.Destination + "." + parkState(it) + "."
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], it)
	}
	for _, key := range order {
		if err := l.parkGroup(ctx, key, groups[key]); err != nil {
			return fmt.Errorf("park %d items: %w", len(items), err)
		}
	}
	return nil
}

// parkGroup stores items of one subject in as few packs as it can.
func (l *Log) parkGroup(ctx context.Context, key string, items []headlessly.ParkedItem) error {
	room := int(l.pub.MaxPayload()) - frameRoom
	for len(items) > 0 {
		p := pack{}
		for len(items) > 0 && p.count < maxPackItems {
			if p.count > 0 && p.size()+itemSize(items[0]) > maxPackBytes {
				break
			}
			p.add(items[0])
			items = items[1:]
		}
		if p.size() > room {
			return &RecordTooLargeError{Size: p.size(), Max: room}
		}
		if err := l.put1(ctx, l.names.parked, l.names.park+key+strconv.Itoa(p.count), p.encode(l.id)); err != nil {
			return err
		}
	}
	return nil
}

// List implements [headlessly.Parked].
func (l *Log) List(ctx context.Context, tenant, destination string) iter.Seq2[headlessly.ParkedItem, error] {
	return func(yield func(headlessly.ParkedItem, error) bool) {
		lost, err := l.eachPack(ctx, tenant, destination, func(m stored) error {
			items, err := decodePack(m.data)
			if err != nil {
				l.stats.corrupt.Add(1)
				l.quarantine(m, err)
				if !yield(headlessly.ParkedItem{}, l.damaged(m, err)) {
					return errStopped
				}
				return nil
			}
			tenant, destination, state := l.splitPark(m.subject)
			for i, it := range items {
				if l.parked.isGone(m.seq, i) {
					continue
				}
				it.ID = uint64(headlessly.LogSeq(m.seq, i)) //nolint:gosec // undone by SplitLogSeq
				it.Tenant, it.Destination = tenant, destination
				it.Dead, it.Unknown = state == parkDead, state == parkUnknown
				if !yield(it, nil) {
					return errStopped
				}
			}
			return nil
		})
		if errors.Is(err, errStopped) {
			return
		}
		for _, e := range lost {
			if !yield(headlessly.ParkedItem{}, e) {
				return
			}
		}
		if err != nil {
			yield(headlessly.ParkedItem{}, fmt.Errorf("list parked items: %w", err))
		}
	}
}

// damaged says what is lost with a pack that cannot be decoded.
func (l *Log) damaged(m stored, cause error) error {
	g, err := l.describePack(m.subject)
	if err != nil {
		return fmt.Errorf("parked items at %d: %w", m.seq, errors.Join(cause, err))
	}
	if known, ok := l.parked.get(m.seq); ok {
		g.bits = known.bits
	}
	return &headlessly.DamagedError{Key: g.key, Items: int64(g.size) - g.bits.count(), Err: fmt.Errorf("pack %d: %w", m.seq, cause)}
}

// splitPark takes a parked subject apart.
func (l *Log) splitPark(subject string) (tenant, destination, state string) {
	parts := strings.Split(strings.TrimPrefix(subject, l.names.park), ".")
	if len(parts) < 3 {
		return "", "", ""
	}
	return parts[0], parts[1], parts[2]
}

// parkFilter is the subject of a tenant's and destination's packs.
func (l *Log) parkFilter(tenant, destination string) (string, error) {
	for _, s := range []*string{&tenant, &destination} {
		if *s == "" {
			*s = "*"
		} else if !validToken(*s) {
			return "", fmt.Errorf("%q is not a valid name", *s)
		}
	}
	return l.names.park + tenant + "." + destination + ".>", nil
}

// eachPack calls each for each pack, oldest first. It gives what the store has
// and cannot read.
func (l *Log) eachPack(ctx context.Context, tenant, destination string, each func(stored) error) ([]*headlessly.DamagedError, error) {
	filter, err := l.parkFilter(tenant, destination)
	if err != nil {
		return nil, err
	}
	ctx, cancel := l.bound(ctx)
	defer cancel()
	b, err := newBatch(l.sub, l.names.parked)
	if err != nil {
		return nil, err
	}
	defer b.close()
	begun, err := l.subjects(ctx, l.names.parked, filter)
	if err != nil {
		return nil, err
	}
	seen := make(map[string][]uint64) // packs by subject
	next, tries := uint64(1), 0
	read := func() (came bool, err error) {
		before := next
		err = b.get(ctx, getRequest{Seq: next, Batch: readBatch, MaxBytes: readBytes, Next: filter}, func(m stored) error {
			next = m.seq + 1
			seen[m.subject] = append(seen[m.subject], m.seq)
			return each(m)
		})
		return next > before, err
	}
	for {
		came, err := read()
		if err != nil {
			return nil, err
		}
		if came {
			continue
		}
		// Nothing came: the end, a replica that is late, or a message that the
		// store cannot read.
		state, err := l.subjects(ctx, l.names.parked, filter)
		if err != nil {
			return nil, err
		}
		if !short(seen, begun.Subjects, state.Subjects) {
			return nil, nil
		}
		if tries++; l.srv == nil && tries < lateTries {
			pause(ctx, resendPause)
			continue
		}
		lost, err := l.unreadable(ctx, seen, begun.Subjects, filter)
		if err != nil {
			return nil, err
		}
		if came, err := read(); err != nil { // what was parked meanwhile is not lost
			return nil, err
		} else if came {
			continue
		}
		if len(lost) == 0 {
			return nil, nil
		}
		skip, err := l.behindUnreadable(ctx, b, next, state, filter)
		if err != nil || skip == 0 {
			return lost, err
		}
		next = skip
	}
}

// lateTries is how often a replica that lacks packs is asked again.
const lateTries = 20

// short says whether packs may lack among those seen: the store counts more now,
// or did at the beginning. Those that were seen may be gone by now, removed by
// whoever reads them, and others before they were seen.
func short(seen map[string][]uint64, begun, now map[string]uint64) bool {
	for subject, there := range now {
		if max(there, begun[subject]) > uint64(len(seen[subject])) {
			return true
		}
	}
	return false
}

// unreadable says which packs the store counts that are none of those seen. It
// looks first which of these are still there, so that one that goes meanwhile is
// not taken for one that can't be read.
func (l *Log) unreadable(ctx context.Context, seen map[string][]uint64, begun map[string]uint64, filter string) ([]*headlessly.DamagedError, error) {
	there := make(map[string]uint64, len(seen))
	for subject, packs := range seen {
		for _, pack := range packs {
			m, err := l.getMsg(ctx, l.names.parked, pack)
			if err != nil {
				return nil, err
			}
			if m != nil {
				there[subject]++
			}
		}
	}
	state, err := l.subjects(ctx, l.names.parked, filter)
	if err != nil {
		return nil, err
	}
	var out []*headlessly.DamagedError
	for subject, packs := range state.Subjects {
		// Beside damage the store may go on counting packs that were removed.
		before := uint64(len(seen[subject]))
		lost := min(packs-min(packs, there[subject]), max(packs, begun[subject], before)-before)
		if lost == 0 {
			continue
		}
		e := &headlessly.DamagedError{Err: errUnreadable}
		if g, err := l.describePack(subject); err == nil {
			e.Key, e.Items = g.key, int64(g.size)*int64(lost) //nolint:gosec // a count
		}
		out = append(out, e)
	}
	return out, nil
}

// errUnreadable is what is wrong with a message that the store does not give.
var errUnreadable = errors.New("the store cannot read them")

// behindUnreadable looks for the first pack behind messages that the store
// cannot read, 0 where there is none.
func (l *Log) behindUnreadable(ctx context.Context, b *batch, next uint64, state jetstream.StreamState, filter string) (uint64, error) {
	for seq := max(next, state.FirstSeq); seq <= state.LastSeq; seq++ {
		found := uint64(0)
		req := getRequest{Seq: seq, Batch: 1, Next: filter}
		if err := b.get(ctx, req, func(m stored) error { found = m.seq; return nil }); err != nil {
			return 0, err
		}
		if found > 0 {
			l.cfg.Logger.Error("parked items are unreadable", slog.Uint64("from", next), slog.Uint64("to", found-1))
			l.stats.corrupt.Add(1)
			return found, nil
		}
	}
	return 0, nil
}

// Count implements [headlessly.Parked].
func (l *Log) Count(ctx context.Context) (map[headlessly.ParkedKey]int64, error) {
	state, err := l.subjects(ctx, l.names.parked, l.names.park+">")
	if err != nil {
		return nil, fmt.Errorf("count parked items: %w", err)
	}
	counts := make(map[headlessly.ParkedKey]int64)
	for subject, packs := range state.Subjects {
		tenant, destination, status := l.splitPark(subject)
		n, err := strconv.ParseInt(subject[strings.LastIndexByte(subject, '.')+1:], 10, 32)
		if err != nil {
			continue // not ours
		}
		k := headlessly.ParkedKey{Tenant: tenant, Destination: destination, Dead: status == parkDead, Unknown: status == parkUnknown}
		counts[k] += n * int64(packs) //nolint:gosec // a count
	}
	for k, n := range l.parked.goneCounts() {
		if counts[k] -= n; counts[k] <= 0 {
			delete(counts, k)
		}
	}
	return counts, nil
}
