package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/headlessly/headlessly"
)

// SalvageStats counts what the search of a damaged store found.
type SalvageStats struct {
	Blocks    int    // block files searched whole
	Damaged   int    // block files found damaged and set aside
	Kept      uint64 // messages kept that stood behind damage
	Lost      uint64 // messages lost for good
	TornBytes int64  // bytes of an unfinished last write, never acknowledged
}

type salvageReport struct {
	SalvageStats
	noted uint64 // the last sequence at the last clean shut
}

// indexFile is the server's summary of a stream's blocks; without it the server
// reads the blocks.
const indexFile = "index.db"

// repairStore looks for damage before the server opens the store, because the
// server drops everything behind damage in a block. After an orderly Close only
// the records' lengths are followed: damage inside a record is found when it is
// read, and costs that record. So it is, where that is possible, with the blocks
// that were finished well before a kill: see catchUp.
func (l *Log) repairStore(ctx context.Context) error {
	note, clean, err := takeClean(l.cfg.Dir)
	if err != nil {
		return err
	}
	if clean {
		l.salvage.noted = note.Last
	}
	for _, kind := range l.cfg.kinds(l.names) {
		s := salvager{log: l, kind: kind, dir: l.blocksDir(kind.name)}
		// What a lent stream's records say is not checked again when they are
		// read from the store, so they are checked now.
		if err := s.run(ctx, clean && kind.sound == nil); err != nil {
			return fmt.Errorf("search log stream %s for damage: %w", kind.name, err)
		}
	}
	return nil
}

// mendedPath is a mark beside the store: a lent stream was mended, and its part
// has not yet drawn its conclusions.
func mendedPath(dir, stream string) string { return filepath.Join(dir, "mended-"+stream) }

// Mended says whether a lent stream was found damaged and mended, now or at an
// earlier start, since [Log.Settle] was called for it: what its part has made
// of it may rest on messages that are gone.
func (l *Log) Mended(stream string) bool {
	if l.srv == nil {
		return false
	}
	_, err := os.Lstat(mendedPath(l.cfg.Dir, stream))
	return err == nil
}

// Settle forgets that a lent stream was mended.
func (l *Log) Settle(stream string) error {
	if err := os.Remove(mendedPath(l.cfg.Dir, stream)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("note of a mended stream: %w", err)
	}
	return nil
}

// blocksDir is where a stream's block files are.
func (l *Log) blocksDir(stream string) string {
	return filepath.Join(streamsDir(l.cfg.Dir), stream, "msgs")
}

// salvager works on one stream.
type salvager struct {
	log  *Log
	kind streamKind
	dir  string
}

// block is one block file.
type block struct {
	index int
	path  string
}

// blocks lists a folder's block files in order.
func blocks(dir string) ([]block, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []block
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".blk")
		if index, err := strconv.Atoi(name); ok && err == nil {
			list = append(list, block{index, filepath.Join(dir, e.Name())})
		}
	}
	slices.SortFunc(list, func(a, b block) int { return a.index - b.index })
	return list, nil
}

func (s salvager) run(ctx context.Context, clean bool) error {
	list, err := blocks(s.dir)
	if err != nil {
		return err
	}
	if !clean {
		if done, err := s.catchUp(list); err != nil || done {
			return err
		}
	}
	bad, err := s.find(ctx, list, clean)
	if err != nil {
		return err
	}
	mended := false
	for i, b := range list {
		if !bad[i] {
			continue
		}
		did, err := s.mend(list, i)
		if err != nil {
			return fmt.Errorf("block %d: %w", b.index, err)
		}
		mended = mended || did
	}
	if !mended {
		return nil
	}
	if err := os.Remove(filepath.Join(s.dir, indexFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return headlessly.SyncFolder(s.dir)
}

// find checks the blocks, several at a time.
func (s salvager) find(ctx context.Context, list []block, quick bool) ([]bool, error) {
	bad, errs := make([]bool, len(list)), make([]error, len(list))
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			var buf bytes.Buffer // kept from block to block
			for i := range next {
				if quick {
					bad[i], errs[i] = lengthsBroken(list[i].path)
				} else {
					bad[i], errs[i] = blockBroken(s.kind, list[i], &buf)
				}
			}
		})
	}
	for i := range list {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	if !quick {
		s.log.salvage.Blocks += len(list)
	}
	return bad, errors.Join(append(errs, ctx.Err())...)
}

// lengthsBroken follows the lengths of a block's records.
func lengthsBroken(path string) (bool, error) {
	f, err := os.Open(path) //nolint:gosec // the operator's own folder
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	var head [blockHead]byte
	for off := int64(0); off < info.Size(); {
		if info.Size()-off < blockMin {
			return true, nil
		}
		if _, err := f.ReadAt(head[:], off); err != nil {
			return false, err
		}
		size, _, _, slen := blockHeader(head[:])
		size &^= bitHeader
		if size < blockMin || size > blockMax || int64(size) > info.Size()-off || slen > int(size)-blockMin {
			return true, nil
		}
		off += int64(size)
	}
	return false, nil
}

// blockBroken checks each record of a block against its hash.
func blockBroken(kind streamKind, b block, into *bytes.Buffer) (bool, error) {
	f, err := os.Open(b.path)
	if err != nil {
		return false, err
	}
	into.Reset()
	_, err = into.ReadFrom(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	buf := into.Bytes()
	h, err := newBlockHasher(kind.name, b.index)
	if err != nil {
		return false, err
	}
	for r, err := parseBlock(buf); err == nil && h.sound(r) && kind.fits(r); r, err = parseBlock(buf) {
		buf = buf[r.size:]
	}
	return len(buf) > 0, nil
}

// mend sets a damaged block aside and writes it anew without the damage. An
// unfinished last write at the end of the last block is set aside and left for
// the server to cut off; did is false then.
func (s salvager) mend(list []block, i int) (did bool, err error) {
	b, lastBlock := list[i], i == len(list)-1
	buf, err := os.ReadFile(b.path)
	if err != nil {
		return false, err
	}
	h, err := newBlockHasher(s.kind.name, b.index)
	if err != nil {
		return false, err
	}
	prev, err := s.lastBefore(list[:i])
	if err != nil {
		return false, err
	}
	r := repairer{hash: h, id: s.log.id, kind: s.kind, buf: buf}
	out := r.repair(prev)
	torn := lastBlock && out.holes == 1 && out.tail > 0
	if !lastBlock && out.tail > 0 {
		if first, err := firstSeq(list[i+1].path); err == nil && first > out.next {
			out.lost += first - out.next
		}
	}
	st := &s.log.salvage
	log := s.log.cfg.Logger.With(slog.String("stream", s.kind.name), slog.Int("block", b.index))
	if torn {
		st.TornBytes += int64(out.tail)
		log.Info("log ends in an unfinished write", slog.Int("bytes", out.tail))
		return false, s.log.keepBytes(s.kind.name, fmt.Sprintf("%d-torn.blk", b.index), buf[len(buf)-out.tail:])
	}
	st.Damaged++
	st.Kept += out.kept
	st.Lost += out.lost
	s.log.stats.corrupt.Add(uint64(out.holes)) //nolint:gosec // a count
	log.Error("log block is damaged; mended without the damage, the original is in quarantine",
		slog.Int("places", out.holes), slog.Uint64("kept", out.kept), slog.Uint64("lost", out.lost))
	aside, err := s.log.quarantinePath(s.kind.name, fmt.Sprintf("%d.blk", b.index))
	if err != nil {
		return false, err
	}
	if s.kind.sound != nil {
		if err := headlessly.WriteFile(mendedPath(s.log.cfg.Dir, s.kind.name), nil); err != nil {
			return false, err
		}
	}
	// The original keeps its bytes under its new name: the mended block is
	// another file.
	if err := os.Link(b.path, aside); err != nil {
		return false, err
	}
	if err := headlessly.SyncFolder(filepath.Dir(aside)); err != nil {
		return false, err
	}
	return true, headlessly.WriteFile(b.path, out.data)
}

// lastBefore is the sequence of the last message in the blocks before one.
func (s salvager) lastBefore(list []block) (uint64, error) {
	for _, b := range slices.Backward(list) {
		buf, err := os.ReadFile(b.path)
		if err != nil {
			return 0, err
		}
		last := uint64(0)
		for r, err := parseBlock(buf); err == nil; r, err = parseBlock(buf) {
			if !r.special {
				last = max(last, r.seq)
			}
			buf = buf[r.size:]
		}
		if last > 0 {
			return last, nil
		}
	}
	return 0, nil
}

// firstSeq is the sequence of a block's first record.
func firstSeq(path string) (uint64, error) {
	f, err := os.Open(path) //nolint:gosec // the operator's own folder
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	var head [blockHead]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return 0, err
	}
	_, seq, _, _ := blockHeader(head[:])
	return seq &^ (bitErased | bitTomb), nil
}

// firstFrame gives the first sound frame of the block files in dir.
func firstFrame(dir string) ([]byte, error) {
	list, err := blocks(dir)
	if err != nil {
		return nil, err
	}
	for _, b := range list {
		buf, err := os.ReadFile(b.path)
		if err != nil {
			return nil, err
		}
		for r, err := parseBlock(buf); err == nil; r, err = parseBlock(buf) {
			if checkFrame(r.payload) == nil {
				return r.payload, nil
			}
			buf = buf[r.size:]
		}
	}
	return nil, errNotFrame
}
