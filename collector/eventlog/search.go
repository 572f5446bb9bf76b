package eventlog

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"
)

// maxSearch bounds how many missing frames the leader is asked for one by one.
const maxSearch = 1000

// search looks for frames that a direct get did not bring.
func (l *Log) search(ctx context.Context, from, to uint64) ([]stored, error) {
	if l.srv != nil {
		found, err := l.searchBlocks(from, to)
		if err != nil {
			l.cfg.Logger.Error("log blocks not searched", slog.Any("error", err))
		}
		return found, nil
	}
	var found []stored
	for seq := from; seq <= to && seq-from < maxSearch; seq++ {
		m, err := l.getMsg(ctx, l.names.events, seq)
		if err != nil {
			return nil, err
		}
		if m != nil {
			found = append(found, *m)
		}
	}
	return found, nil
}

// searchBlocks looks in the embedded store's files for frames from to to that
// the server does not give, because it found them damaged: the damage may be
// beside the frame. Frames that are damaged themselves are in the result too.
func (l *Log) searchBlocks(from, to uint64) ([]stored, error) {
	list, err := blocks(l.blocksDir(l.names.events))
	if err != nil {
		return nil, err
	}
	var found []stored
	for i, b := range list {
		if i+1 < len(list) {
			if next, err := firstSeq(list[i+1].path); err == nil && next <= from && next > 0 {
				continue // all of this block is before
			}
		}
		if first, err := firstSeq(b.path); err == nil && first > to {
			break
		}
		in, err := l.searchBlock(b, from, to)
		if err != nil {
			return found, fmt.Errorf("block %d: %w", b.index, err)
		}
		found = append(found, in...)
	}
	return found, nil
}

// searchBlock looks in one block file. A damaged one is copied aside first:
// when the server rebuilds it, it cuts it off at the damage.
func (l *Log) searchBlock(b block, from, to uint64) ([]stored, error) {
	buf, err := os.ReadFile(b.path)
	if err != nil {
		return nil, err
	}
	h, err := newBlockHasher(l.names.events, b.index)
	if err != nil {
		return nil, err
	}
	r := repairer{hash: h, id: l.id, kind: l.names.kinds()[0], buf: buf}
	out := r.repair(0)
	if out.holes == 0 {
		return nil, nil
	}
	if l.quarantined.Add(1) <= maxQuarantined {
		if err := l.keepBytes(l.names.events, fmt.Sprintf("%d.blk", b.index), buf); err != nil {
			return nil, err
		}
	}
	found := make(map[uint64]stored)
	// Damaged ones first, as far as the lengths lead; mended ones replace them.
	for _, rec := range append(allRecords(buf), allRecords(out.data)...) {
		if !rec.special && rec.seq >= from && rec.seq <= to {
			found[rec.seq] = stored{seq: rec.seq, time: time.Unix(0, rec.time), subject: string(rec.subject), data: rec.payload}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b stored) int { return cmp.Compare(a.seq, b.seq) }), nil
}

// allRecords gives the records of a block as far as their lengths are right.
func allRecords(b []byte) []blockRecord {
	var list []blockRecord
	for len(b) > 0 {
		rec, err := parseBlock(b)
		if err != nil {
			break
		}
		list = append(list, rec)
		b = b[rec.size:]
	}
	return list
}
