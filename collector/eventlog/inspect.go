package eventlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/headlessly/headlessly"
)

// Inspection is what a log holds.
type Inspection struct {
	First, Last         uint64 // sequences; First is above Last when it is empty
	FirstTime, LastTime time.Time
	Frames              uint64
	Bytes               int64
	Committed           map[string]uint64
	Parked              map[headlessly.ParkedKey]int64
}

// Inspect tells what the log holds.
func (l *Log) Inspect(ctx context.Context) (Inspection, error) {
	state, err := l.state(ctx)
	if err != nil {
		return Inspection{}, fmt.Errorf("inspect log: %w", err)
	}
	parked, err := l.Count(ctx)
	if err != nil {
		return Inspection{}, fmt.Errorf("inspect log: %w", err)
	}
	return Inspection{
		First: state.FirstSeq, Last: state.LastSeq, FirstTime: state.FirstTime, LastTime: state.LastTime,
		Frames: state.Msgs, Bytes: int64(state.Bytes), Committed: l.cursors.all(), Parked: parked, //nolint:gosec // a size on disk
	}, nil
}

// Export calls each for every frame from from to to (0 for the newest), in
// order. Missing and damaged frames do not end it; they are in its error.
func (l *Log) Export(ctx context.Context, from, to uint64, each func(headlessly.Frame) error) error {
	last, err := l.Last(ctx)
	if err != nil {
		return fmt.Errorf("export log: %w", err)
	}
	if to == 0 || to > last {
		to = last
	}
	if from > to {
		return nil
	}
	var faults []error
	for f, err := range l.ReadTo(ctx, from, to) {
		seq := f.Seq
		var gap *headlessly.GapError
		var corrupt *headlessly.CorruptError
		switch {
		case errors.As(err, &gap):
			seq = gap.To
		case errors.As(err, &corrupt):
			seq = corrupt.Seq
		case err != nil:
			return errors.Join(append(faults, err)...)
		}
		if err != nil {
			faults = append(faults, err)
		} else if err := each(f); err != nil {
			return fmt.Errorf("export log frame %d: %w", seq, err)
		}
		if seq >= to {
			break
		}
	}
	return errors.Join(faults...)
}

// BlockReport is what [Verify] found in one block file.
type BlockReport struct {
	Stream      string
	Path        string
	Bytes       int64
	Messages    int    // sound ones
	Records     int    // in their frames
	First, Last uint64 // sequences
	Damaged     int    // places that are not as they were written
	TornBytes   int    // behind the last sound message
	Lost        uint64 // messages missing at damaged places
}

// Verify reads every byte of the log in dir, which no process may use
// meanwhile, and changes nothing.
func Verify(ctx context.Context, cfg Config) (reports []BlockReport, err error) {
	cfg = cfg.filled()
	unlock, err := lockDir(cfg.Dir, cfg.Clock)
	if err != nil {
		return nil, fmt.Errorf("verify log: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	n := makeNames(cfg.Prefix)
	id, err := readID(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("verify log: %w", err)
	}
	dec, err := newDecoder()
	if err != nil {
		return nil, fmt.Errorf("verify log: %w", err)
	}
	for _, kind := range cfg.kinds(n) {
		list, err := blocks(filepath.Join(streamsDir(cfg.Dir), kind.name, "msgs"))
		if err != nil {
			return reports, fmt.Errorf("verify log stream %s: %w", kind.name, err)
		}
		for _, b := range list {
			if ctx.Err() != nil {
				return reports, ctx.Err()
			}
			r, err := verifyBlock(kind, b, id, dec)
			if err != nil {
				return reports, fmt.Errorf("verify log block %s: %w", b.path, err)
			}
			reports = append(reports, r)
		}
	}
	return reports, nil
}

func verifyBlock(kind streamKind, b block, id logID, dec *decoder) (BlockReport, error) {
	buf, err := os.ReadFile(b.path)
	if err != nil {
		return BlockReport{}, err
	}
	h, err := newBlockHasher(kind.name, b.index)
	if err != nil {
		return BlockReport{}, err
	}
	r := repairer{hash: h, id: id, kind: kind, buf: buf}
	out := r.repair(0)
	report := BlockReport{
		Stream: kind.name, Path: b.path, Bytes: int64(len(buf)),
		Damaged: out.holes, TornBytes: out.tail, Lost: out.lost,
	}
	for _, rec := range allRecords(out.data) {
		if rec.special {
			continue
		}
		if report.Messages++; report.First == 0 {
			report.First = rec.seq
		}
		report.Last = rec.seq
		if kind.frames == "" {
			continue
		}
		records, err := dec.decode(rec.payload)
		if err != nil {
			report.Damaged++
		}
		report.Records += len(records)
	}
	return report, nil
}
