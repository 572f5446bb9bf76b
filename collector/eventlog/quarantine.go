package eventlog

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/headlessly/headlessly"
)

// maxQuarantined bounds how many unreadable frames and packs are kept one by
// one while the log runs; more means that a disk is dying.
const maxQuarantined = 1000

// quarantinePath is a new file's name in the quarantine folder, which it makes.
func (l *Log) quarantinePath(stream, name string) (string, error) {
	dir := filepath.Join(l.cfg.Dir, quarantineDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("quarantine: %w", err)
	}
	if err := headlessly.SyncFolder(l.cfg.Dir); err != nil {
		return "", fmt.Errorf("quarantine: %w", err)
	}
	stamp := strconv.FormatInt(l.cfg.Clock().UnixMicro(), 10)
	for n := 0; ; n++ {
		path := filepath.Join(dir, fmt.Sprintf("%s-%s-%d-%s", stamp, stream, n, name))
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
	}
}

// keepBytes puts bytes into the quarantine folder.
func (l *Log) keepBytes(stream, name string, data []byte) error {
	path, err := l.quarantinePath(stream, name)
	if err != nil {
		return err
	}
	return headlessly.WriteFile(path, data)
}

// quarantine keeps the bytes of a message that the store gives but that cannot
// be read. A cluster keeps them in the stream itself.
func (l *Log) quarantine(m stored, cause error) {
	log := l.cfg.Logger.With(slog.String("subject", m.subject), slog.Uint64("seq", m.seq))
	log.Error("log message is unreadable", slog.Any("error", cause))
	if l.srv == nil || l.quarantined.Add(1) > maxQuarantined {
		return
	}
	if err := l.keepBytes("message", fmt.Sprintf("%d.bin", m.seq), m.data); err != nil {
		log.Error("unreadable log message not kept", slog.Any("error", err))
	}
}
