package eventlog

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Names in the cursors stream that no reader can have.
const (
	cursorTrim  = "~trim"  // frames up to it were trimmed
	cursorLogID = "~logid" // the log's id, on a cluster
)

// A stored cursor is: version, log id, sequence, CRC32C.
const (
	cursorVersion = 1
	cursorSize    = 1 + len(logID{}) + 8 + 4
)

func encodeCursor(id logID, seq uint64) []byte {
	b := append(make([]byte, 0, cursorSize), cursorVersion)
	b = append(b, id[:]...)
	b = binary.LittleEndian.AppendUint64(b, seq)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeCursor(b []byte) (uint64, error) {
	const seqAt, crcAt = 1 + len(logID{}), cursorSize - 4
	if len(b) != cursorSize || b[0] != cursorVersion ||
		binary.LittleEndian.Uint32(b[crcAt:]) != crc32.Checksum(b[:crcAt], castagnoli) {
		return 0, fmt.Errorf("cursor of %d bytes is unreadable", len(b))
	}
	return binary.LittleEndian.Uint64(b[seqAt:]), nil
}

// Committed implements [headlessly.LogReader].
func (l *Log) Committed(ctx context.Context, reader string) (uint64, error) {
	if !validReader(reader) {
		return 0, fmt.Errorf("log reader %q: not a valid name", reader)
	}
	if l.srv != nil {
		seq, _ := l.cursors.get(reader)
		return seq, nil
	}
	seq, err := l.loadCursor(ctx, reader)
	if err != nil {
		return 0, fmt.Errorf("log reader %s: %w", reader, err)
	}
	return seq, nil
}

// Commit implements [headlessly.LogReader]. It costs one fsync, so a fast
// reader commits every few hundred milliseconds, not after each frame.
func (l *Log) Commit(ctx context.Context, reader string, seq uint64) error {
	if !validReader(reader) {
		return fmt.Errorf("log reader %q: not a valid name", reader)
	}
	if old, ok := l.cursors.get(reader); ok && seq <= old {
		return nil
	}
	if l.srv == nil {
		old, err := l.loadCursor(ctx, reader)
		if err != nil {
			return fmt.Errorf("log reader %s: %w", reader, err)
		}
		if seq <= old {
			return nil
		}
	}
	if err := l.storeCursor(ctx, reader, seq); err != nil {
		return fmt.Errorf("commit log reader %s at %d: %w", reader, seq, err)
	}
	l.cursors.set(reader, seq)
	return nil
}

// Forget removes a reader's cursor, so that it no longer holds back Trim.
func (l *Log) Forget(ctx context.Context, reader string) error {
	if !validReader(reader) {
		return fmt.Errorf("log reader %q: not a valid name", reader)
	}
	if err := l.purge(ctx, l.names.cursors, jetstream.WithPurgeSubject(l.names.cursor+reader)); err != nil {
		return fmt.Errorf("forget log reader %s: %w", reader, err)
	}
	l.cursors.forget(reader)
	return nil
}

// storeCursor makes one cursor durable.
func (l *Log) storeCursor(ctx context.Context, name string, seq uint64) error {
	return l.put1(ctx, l.names.cursors, l.names.cursor+name, encodeCursor(l.id, seq))
}

// loadCursor reads one cursor from the stream's leader, 0 where there is none.
func (l *Log) loadCursor(ctx context.Context, name string) (uint64, error) {
	m, err := l.lastMsg(ctx, l.names.cursors, l.names.cursor+name)
	if m == nil || err != nil {
		return 0, err
	}
	return decodeCursor(m.data)
}

// loadCursors reads every cursor. An unreadable one counts as absent: its
// reader starts over, and nothing is trimmed past it.
func (l *Log) loadCursors(ctx context.Context) error {
	for _, r := range l.cfg.Readers {
		l.cursors.set(r, 0)
	}
	state, err := l.subjects(ctx, l.names.cursors, l.names.cursor+">")
	if err != nil {
		return fmt.Errorf("read cursors: %w", err)
	}
	for subject := range state.Subjects {
		name := strings.TrimPrefix(subject, l.names.cursor)
		if name == cursorLogID {
			continue
		}
		seq, err := l.loadCursor(ctx, name)
		if err != nil {
			l.cfg.Logger.Error("log cursor unreadable; its reader starts over",
				slog.String("reader", name), slog.Any("error", err))
			l.stats.corrupt.Add(1)
		}
		if name == cursorTrim {
			l.trimmed.Store(max(seq, l.trimmed.Load()))
		} else {
			l.cursors.set(name, seq)
		}
	}
	return nil
}

// slowest is the lowest cursor of all readers, last where there is none.
func (l *Log) slowest() uint64 {
	low := l.last.Load()
	for _, seq := range l.cursors.all() {
		low = min(low, seq)
	}
	return low
}
