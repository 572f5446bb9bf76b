package dedupe

import (
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/headlessly/headlessly"
)

// Reader is the name under which the index reads the log. Give it to the log's
// retention, so that no frame is trimmed before its ids are in the index.
const Reader = "dedupe"

// Config says where the index lives and how much memory it may use. Start from
// [Default].
type Config struct {
	// Dir is the index's own folder; it is made if missing.
	Dir string
	// Log is read from the index's cursor by Open.
	Log headlessly.RangeReader
	// Window is how long an id is remembered.
	Window time.Duration
	// MaxKeys is how many ids gather in memory before they are written; twice
	// as many are held while a write is under way, at about 40 bytes each.
	MaxKeys int
	// FlushEvery is how long an id may wait in memory. It bounds how much of
	// the log Open has to read again after a crash.
	FlushEvery time.Duration
	// MaxFilterBytes bounds the filters kept in memory, at 2 bytes an id.
	MaxFilterBytes int64
	// DoubtFor is how long the ids of an append whose outcome is unknown are
	// held back: longer than the log may still write what was given to it.
	DoubtFor time.Duration

	Clock  headlessly.Clock
	Logger *slog.Logger
	Rand   io.Reader
}

// Default is an index in dir over log.
func Default(dir string, log headlessly.RangeReader) Config {
	return Config{
		Dir: dir, Log: log,
		Window:         24 * time.Hour,
		MaxKeys:        1 << 18,
		FlushEvery:     30 * time.Second,
		MaxFilterBytes: 256 << 20,
		DoubtFor:       45 * time.Second,
		Clock:          headlessly.SystemClock,
		Logger:         slog.New(slog.DiscardHandler),
		Rand:           rand.Reader,
	}
}

// Validate reports every fault.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, text string) {
		if !ok {
			errs = append(errs, errors.New("dedupe: "+text))
		}
	}
	need(c.Dir != "", "dir is missing")
	need(c.Log != nil, "log is missing")
	need(c.Window > 0, "window must be above 0")
	need(c.MaxKeys > 0, "max keys must be above 0")
	need(c.FlushEvery > 0, "flush interval must be above 0")
	need(c.MaxFilterBytes >= 0, "max filter bytes is negative")
	need(c.DoubtFor > 0, "doubt time must be above 0")
	need(c.Clock != nil && c.Logger != nil && c.Rand != nil, "clock, logger or rand is missing")
	return errors.Join(errs...)
}
