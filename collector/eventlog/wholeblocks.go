package eventlog

import (
	"os"
	"time"
)

// Trimming within a block file leaves a mark for each removed frame among the
// newest ones, and then a start after a kill has to search the whole log: the
// index is no plain one any more (see catchUp). So where the log is large, it is
// trimmed by whole files, which keeps a frame a little longer.
const (
	// storeBlock is about the size of a full block file.
	storeBlock = 8 << 20
	// sparePart is which part of MaxAge and of MaxBytes a frame may stay beyond
	// its time: a small or slow log is still trimmed to the frame.
	sparePart = 20
)

// wholeBlocks moves a trim's first kept frame back to the start of its block
// file, unless that would keep too much.
func (l *Log) wholeBlocks(from, first uint64) uint64 {
	if l.srv == nil || from <= first || l.cfg.MaxBytes > 0 && l.cfg.MaxBytes/sparePart < storeBlock {
		return from
	}
	start, at, ok := startOfBlock(l.blocksDir(l.names.events), from)
	if !ok || l.cfg.MaxAge > 0 && at.Before(l.cfg.Clock().Add(-l.cfg.MaxAge-l.cfg.MaxAge/sparePart)) {
		return from
	}
	return start
}

// startOfBlock gives the first sequence of the block file that holds one, and
// when that was stored.
func startOfBlock(dir string, holding uint64) (seq uint64, at time.Time, ok bool) {
	list, err := blocks(dir)
	if err != nil {
		return 0, at, false
	}
	for _, b := range list {
		next, stored, err := firstOfBlock(b.path)
		if err != nil {
			return 0, at, false // being written, or removed
		}
		if next > holding {
			break
		}
		seq, at, ok = next, stored, true
	}
	return seq, at, ok
}

// firstOfBlock reads the head of a block file, which must be a message.
func firstOfBlock(path string) (seq uint64, at time.Time, err error) {
	f, err := os.Open(path) //nolint:gosec // the operator's own folder
	if err != nil {
		return 0, at, err
	}
	defer func() { _ = f.Close() }()
	var head [blockHead]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return 0, at, err
	}
	_, seq, ns, _ := blockHeader(head[:])
	if seq == 0 || seq&(bitErased|bitTomb) != 0 {
		return 0, at, errBlockRecord
	}
	return seq, time.Unix(0, ns), nil
}
