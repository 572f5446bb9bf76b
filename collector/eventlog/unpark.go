package eventlog

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"github.com/headlessly/headlessly"
	"github.com/nats-io/nats.go/jetstream"
)

// parkedState remembers which items of packs that are still there have been
// removed. Each entry is also a message of the parked stream, so a restart
// knows it too; the message goes with its pack.
type parkedState struct {
	removing sync.Mutex // one removal at a time: it reads, decides and writes

	mu   sync.Mutex
	gone map[uint64]*gonePack // by pack
}

// gonePack says what is removed of one pack.
type gonePack struct {
	key  headlessly.ParkedKey
	size int // items in the pack
	bits bitmap
}

// bitmap holds one bit an item.
type bitmap [maxPackItems / 8]byte

func (b *bitmap) has(i int) bool { return i < maxPackItems && b[i/8]&(1<<(i%8)) != 0 }
func (b *bitmap) set(i int)      { b[i/8] |= 1 << (i % 8) }

func (b *bitmap) count() (n int64) {
	for i := range maxPackItems {
		if b.has(i) {
			n++
		}
	}
	return n
}

// A stored bitmap is: version, log id, bits, CRC32C.
const goneVersion = 1

func encodeGone(id logID, bits bitmap) []byte {
	b := append([]byte{goneVersion}, id[:]...)
	b = append(b, bits[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeGone(b []byte) (bits bitmap, err error) {
	const bitsAt, crcAt = 1 + len(logID{}), 1 + len(logID{}) + len(bits)
	if len(b) != crcAt+4 || b[0] != goneVersion || binary.LittleEndian.Uint32(b[crcAt:]) != crc32.Checksum(b[:crcAt], castagnoli) {
		return bits, fmt.Errorf("%d bytes are no record of removed items", len(b))
	}
	copy(bits[:], b[bitsAt:])
	return bits, nil
}

func (p *parkedState) isGone(pack uint64, i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.gone[pack]
	return g != nil && g.bits.has(i)
}

func (p *parkedState) goneCounts() map[headlessly.ParkedKey]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := make(map[headlessly.ParkedKey]int64)
	for _, g := range p.gone {
		counts[g.key] += g.bits.count()
	}
	return counts
}

func (p *parkedState) get(pack uint64) (gonePack, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.gone[pack]
	if g == nil {
		return gonePack{}, false
	}
	return *g, true
}

func (p *parkedState) put(pack uint64, g gonePack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone == nil {
		p.gone = make(map[uint64]*gonePack)
	}
	p.gone[pack] = &g
}

func (p *parkedState) drop(pack uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.gone, pack)
}

// Remove implements [headlessly.Parked]. Removing all items of a pack at once
// is cheapest; they have neighbouring ids.
func (l *Log) Remove(ctx context.Context, ids ...uint64) error {
	packs := make(map[uint64][]int)
	for _, id := range ids {
		seq, i := headlessly.SplitLogSeq(int64(id)) //nolint:gosec // List made it from a signed number
		if i < maxPackItems {
			packs[seq] = append(packs[seq], i)
		}
	}
	l.parked.removing.Lock()
	defer l.parked.removing.Unlock()
	for seq, items := range packs {
		if err := l.removeFrom(ctx, seq, items); err != nil {
			return fmt.Errorf("remove parked items: %w", err)
		}
	}
	return nil
}

// removeFrom removes items of one pack.
func (l *Log) removeFrom(ctx context.Context, seq uint64, items []int) error {
	g, known := l.parked.get(seq)
	if !known {
		m, err := l.getMsg(ctx, l.names.parked, seq)
		if m == nil || err != nil {
			return err
		}
		if g, err = l.describePack(m.subject); err != nil {
			return err
		}
	}
	for _, i := range items {
		if i < g.size {
			g.bits.set(i)
		}
	}
	if g.bits.count() < int64(g.size) {
		if err := l.put1(ctx, l.names.parked, l.goneSubject(seq), encodeGone(l.id, g.bits)); err != nil {
			return err
		}
		l.parked.put(seq, g)
		return nil
	}
	if err := l.deleteMsg(ctx, l.names.parked, seq); err != nil {
		return err
	}
	l.parked.drop(seq)
	if known {
		return l.purge(ctx, l.names.parked, jetstream.WithPurgeSubject(l.goneSubject(seq)))
	}
	return nil
}

func (l *Log) goneSubject(pack uint64) string {
	return l.names.gone + strconv.FormatUint(pack, 10)
}

// describePack reads from its subject what a pack holds.
func (l *Log) describePack(subject string) (gonePack, error) {
	tenant, destination, state := l.splitPark(subject)
	n, err := strconv.Atoi(subject[strings.LastIndexByte(subject, '.')+1:])
	if err != nil || n < 1 || n > maxPackItems || !strings.HasPrefix(subject, l.names.park) {
		return gonePack{}, fmt.Errorf("parked message has subject %q", subject)
	}
	key := headlessly.ParkedKey{Tenant: tenant, Destination: destination, Dead: state == parkDead, Unknown: state == parkUnknown}
	return gonePack{key: key, size: n}, nil
}

// loadRemoved reads which items of which packs have been removed.
func (l *Log) loadRemoved(ctx context.Context) error {
	state, err := l.subjects(ctx, l.names.parked, l.names.gone+"*")
	if err != nil {
		return fmt.Errorf("read removed parked items: %w", err)
	}
	for subject := range state.Subjects {
		if err := l.loadGone(ctx, subject); err != nil {
			return fmt.Errorf("read removed parked items: %w", err)
		}
	}
	return nil
}

// loadGone reads one record of removed items; one whose pack is gone, or that
// is unreadable, is dropped: at worst an item is delivered again.
func (l *Log) loadGone(ctx context.Context, subject string) error {
	pack, err := strconv.ParseUint(strings.TrimPrefix(subject, l.names.gone), 10, 64)
	if err != nil {
		return nil //nolint:nilerr // not ours
	}
	m, err := l.lastMsg(ctx, l.names.parked, subject)
	if m == nil || err != nil {
		return err
	}
	bits, err := decodeGone(m.data)
	if err != nil {
		l.cfg.Logger.Warn("record of removed parked items is unreadable", slog.Uint64("pack", pack), slog.Any("error", err))
		return nil
	}
	of, err := l.getMsg(ctx, l.names.parked, pack)
	if err != nil {
		return err
	}
	if of == nil {
		return l.purge(ctx, l.names.parked, jetstream.WithPurgeSubject(subject))
	}
	g, err := l.describePack(of.subject)
	if err != nil {
		return nil //nolint:nilerr // not ours
	}
	g.bits = bits
	l.parked.put(pack, g)
	return nil
}
