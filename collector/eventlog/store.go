package eventlog

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headlessly/headlessly"
)

// Files of ours in Config.Dir, beside the server's own folder.
const (
	idFile        = "log-id"
	cleanFile     = "clean.json"
	quarantineDir = "quarantine"
)

// streamsDir is where the server keeps its streams; each has a folder msgs with
// the block files.
func streamsDir(dir string) string { return filepath.Join(dir, "jetstream", "$G", "streams") }

// openStore takes the folder, repairs what a crash or the disk has damaged, and
// starts the server on it.
func (l *Log) openStore(ctx context.Context) error {
	dir := l.cfg.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("log folder: %w", err)
	}
	unlock, err := lockDir(dir, l.cfg.Clock)
	if err != nil {
		return err
	}
	l.unlock = unlock
	if l.id, err = fileID(dir, l.names.events, l.cfg.Rand); err != nil {
		return err
	}
	if err := l.repairStore(ctx); err != nil {
		return err
	}
	if l.srv, err = startServer(ctx, l.cfg); err != nil {
		return err
	}
	l.disk.watch(streamsDir(dir), l.names)
	l.disk.ask = l.cfg.freeSpace
	return nil
}

// readID reads the log's id from its file.
func readID(dir string) (id logID, err error) {
	path := filepath.Join(dir, idFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return id, fmt.Errorf("log id: %w", err)
	}
	if b = bytes.TrimSpace(b); hex.DecodedLen(len(b)) != len(id) {
		return id, fmt.Errorf("log id in %s is unreadable; restore it or remove the file", path)
	}
	if _, err := hex.Decode(id[:], b); err != nil {
		return id, fmt.Errorf("log id in %s is unreadable; restore it or remove the file: %w", path, err)
	}
	return id, nil
}

// fileID reads the log's id, making one for a new log.
func fileID(dir, events string, random io.Reader) (logID, error) {
	id, err := readID(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	if _, err := io.ReadFull(random, id[:]); err != nil {
		return id, fmt.Errorf("log id: %w", err)
	}
	if b, err := firstFrame(filepath.Join(streamsDir(dir), events, "msgs")); err == nil {
		copy(id[:], b[offLogID:]) // the file was lost
	}
	return id, headlessly.WriteFile(filepath.Join(dir, idFile), []byte(hex.EncodeToString(id[:])+"\n"))
}

// loadID takes the log's id from the cluster, where it has one.
func (l *Log) loadID(ctx context.Context) error {
	if l.srv != nil {
		return nil
	}
	var id logID
	if _, err := io.ReadFull(l.cfg.Rand, id[:]); err != nil {
		return fmt.Errorf("log id: %w", err)
	}
	subject := l.names.cursor + cursorLogID
	_, err := l.js.Publish(ctx, subject, id[:], jetstream.WithExpectLastSequencePerSubject(0))
	var exists *jetstream.APIError
	if err != nil && (!errors.As(err, &exists) || exists.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence) {
		return fmt.Errorf("log id: %w", err)
	}
	m, err := l.lastMsg(ctx, l.names.cursors, subject)
	if err != nil || m == nil || copy(l.id[:], m.data) != len(l.id) {
		return errors.Join(errors.New("log id is unreadable"), err)
	}
	return nil
}

// cleanNote says how a log was left by an orderly Close.
type cleanNote struct {
	Last uint64 `json:"last"`
}

// noteClean is the last thing an orderly Close does.
func noteClean(dir string, last uint64) error {
	b, err := json.Marshal(cleanNote{Last: last})
	if err != nil {
		return fmt.Errorf("note clean shut: %w", err)
	}
	return headlessly.WriteFile(filepath.Join(dir, cleanFile), append(b, '\n'))
}

// takeClean reads and removes the note of a clean shut.
func takeClean(dir string) (note cleanNote, clean bool, err error) {
	path := filepath.Join(dir, cleanFile)
	b, err := os.ReadFile(path) //nolint:gosec // the operator's own folder
	if errors.Is(err, fs.ErrNotExist) {
		return note, false, nil
	}
	if err != nil {
		return note, false, fmt.Errorf("note of clean shut: %w", err)
	}
	clean = json.Unmarshal(b, &note) == nil
	if err := os.Remove(path); err != nil {
		return note, false, fmt.Errorf("note of clean shut: %w", err)
	}
	return note, clean, headlessly.SyncFolder(dir)
}

// loadState learns where the log ends and how large it is.
func (l *Log) loadState(ctx context.Context) error {
	state, err := l.state(ctx)
	if err != nil {
		return fmt.Errorf("log state: %w", err)
	}
	l.last.Store(state.LastSeq)
	l.used.Store(int64(state.Bytes)) //nolint:gosec // a size on disk
	return nil
}

// pad appends padding frames until the log is as long as the furthest cursor
// or the note of the last clean shut says it was. Without it, a log that lost
// its tail would give new frames sequences that readers have finished.
func (l *Log) pad(ctx context.Context) error {
	want := l.salvage.noted
	for _, seq := range l.cursors.all() {
		want = max(want, seq)
	}
	from := l.last.Load() + 1
	if want < from {
		return nil
	}
	lost := want - from + 1
	l.stats.gaps.Add(lost)
	l.cfg.Logger.Error("log has lost its end", slog.Uint64("from", from), slog.Uint64("to", want))
	if lost > maxPad {
		return fmt.Errorf("log ends at %d, but a reader has finished %d; restore the folder from a backup, or remove the cursors to read all again", from-1, want)
	}
	c := l.writers[0]
	for l.last.Load() < want {
		sent, err := c.send(c.enc.encode(newFrame(nil, nil)))
		if err != nil {
			return fmt.Errorf("pad log: %w", err)
		}
		seq, err := c.await(sent) //nolint:contextcheck // a sent frame is waited for as long as the log lives
		if err != nil {
			return fmt.Errorf("pad log: %w", err)
		}
		l.sawLast(seq)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// maxPad is how many lost frames are made up for; more is a folder of another
// log, not a lost tail.
const maxPad = 1 << 16

func randomBytes(r io.Reader, n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return b // only a name: uniqueness is also in the connection's inbox
	}
	return b
}
