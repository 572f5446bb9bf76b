package eventlog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/nats-io/nats.go"
)

// Config says where the log lives and how much it may hold. Start from
// [DefaultConfig].
type Config struct {
	// Dir is the folder of the embedded store. Required unless URL is set.
	Dir string
	// URL is an external NATS cluster ("nats://a:4222,nats://b:4222"). Empty
	// runs the server inside this process, without a listener.
	URL string
	// Options are added when connecting to URL: credentials, TLS.
	Options []nats.Option
	// Replicas of each stream on an external cluster, an odd number; 3 unless
	// set. The embedded store has 1.
	Replicas int
	// Prefix goes before stream names and subjects, so that several logs can
	// share a cluster.
	Prefix string

	// MaxBytes is what the events stream may hold. Frames that every reader
	// has finished go first; when there are none, Append answers ErrLogFull.
	MaxBytes int64
	// MaxAge is how long finished frames are kept for a replay; 0 for as long
	// as MaxBytes allows. Frames that a reader has not finished are kept, and
	// others up to a twentieth longer, because files are removed as a whole.
	MaxAge time.Duration
	// Reserve is disk space that Append leaves free, so that cursors and parked
	// items can still be written. Embedded only.
	Reserve int64
	// Readers must have finished a frame before it may be trimmed, even before
	// their first Commit. Other readers count from their first Commit on.
	Readers []string

	// Lent are streams that other parts keep in the embedded store: they are
	// searched for damage as the log's own are.
	Lent []LentStream

	// MaxWaiting bounds the bytes that wait for the disk. Beyond it, Append
	// answers ErrLogBusy.
	MaxWaiting int
	// FrameBytes is the size at which a frame is closed. One record may be
	// larger.
	FrameBytes int
	// CompressOver is the frame size from which zstd is tried; 0 never.
	CompressOver int
	// AckTimeout is how long a frame may wait for its ack. The embedded log has
	// failed then; on a cluster the frame's callers get ErrLogBusy.
	AckTimeout time.Duration

	Clock  headlessly.Clock
	Logger *slog.Logger
	Rand   io.Reader

	// Set by tests, to show that a log without them is found out: a server that
	// does not sync, one whose lack of syncs is not noticed, folders not synced.
	syncOff, relaxed, noFolderSync bool
	freeSpace                      func() int64 // nil asks the file system
}

const (
	defaultMaxBytes   = 64 << 30
	defaultReserve    = 1 << 30
	defaultMaxWaiting = 64 << 20
	// A NATS server takes 1 MiB unless told otherwise; headers and the frame's
	// own header need some of it.
	defaultFrameBytes = 1<<20 - 4<<10
	// Measured: at 115 KB a frame compression only moves work from the disk to
	// the processor, which the collector needs; bulk is where it pays.
	defaultCompressOver = 256 << 10
	defaultAckTimeout   = 30 * time.Second
	// maxPayload is what the embedded server takes: a frame with one record as
	// large as a request body, and room for its envelope.
	maxPayload = 8 << 20
	// frameRoom is what a frame's payload needs beside it in a NATS message.
	frameRoom = 1 << 10
)

// LentStream is a stream of another part in the same store.
type LentStream struct {
	Name    string
	Subject string // what its subjects begin with
	// Sound says whether a payload is as it was written. It must refuse every
	// payload that holds a zero byte: no record of the store is free of them,
	// so that none can be made up inside a payload.
	Sound func(payload []byte) bool
}

// DefaultConfig is the embedded log in dir.
func DefaultConfig(dir string) Config {
	return Config{
		Dir:          dir,
		MaxBytes:     defaultMaxBytes,
		Reserve:      defaultReserve,
		MaxWaiting:   defaultMaxWaiting,
		FrameBytes:   defaultFrameBytes,
		CompressOver: defaultCompressOver,
		AckTimeout:   defaultAckTimeout,
		Clock:        headlessly.SystemClock,
		Logger:       slog.New(slog.DiscardHandler),
		Rand:         rand.Reader,
	}
}

// Validate reports every fault.
func (c Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Dir == "" && c.URL == "" {
		fault("log.dir: needed unless log.url names a NATS cluster")
	}
	if c.URL == "" && c.Replicas > 1 {
		fault("log.replicas: %d, but the embedded log has one", c.Replicas)
	}
	if c.Replicas < 0 || c.Replicas > 5 || (c.Replicas > 0 && c.Replicas%2 == 0) {
		fault("log.replicas: %d, want 1, 3 or 5", c.Replicas)
	}
	if c.Prefix != "" && !validToken(c.Prefix) {
		fault("log.prefix: %q, want letters, digits, hyphens and underscores", c.Prefix)
	}
	if c.MaxBytes < 0 {
		fault("log.maxBytes: %d is negative", c.MaxBytes)
	}
	if c.MaxAge < 0 {
		fault("log.maxAge: %s is negative", c.MaxAge)
	}
	if c.Reserve < 0 {
		fault("log.reserve: %d is negative", c.Reserve)
	}
	for i, r := range c.Readers {
		if !validReader(r) {
			fault("log.readers[%d]: %q, want letters, digits, hyphens, underscores and dots", i, r)
		}
	}
	if c.FrameBytes != 0 && (c.FrameBytes < 4<<10 || c.FrameBytes > maxPayload-frameRoom) {
		fault("log.frameBytes: %d, want %d to %d", c.FrameBytes, 4<<10, maxPayload-frameRoom)
	}
	if c.MaxWaiting < 0 || (c.MaxWaiting > 0 && c.MaxWaiting < c.FrameBytes) {
		fault("log.maxWaiting: %d, want at least log.frameBytes", c.MaxWaiting)
	}
	if c.CompressOver < 0 {
		fault("log.compressOver: %d is negative", c.CompressOver)
	}
	if c.AckTimeout < 0 {
		fault("log.ackTimeout: %s is negative", c.AckTimeout)
	}
	return errors.Join(errs...)
}

// filled gives c with its zero values replaced by the defaults.
func (c Config) filled() Config {
	d := DefaultConfig(c.Dir)
	if c.MaxWaiting == 0 {
		c.MaxWaiting = d.MaxWaiting
	}
	if c.FrameBytes == 0 {
		c.FrameBytes = d.FrameBytes
	}
	if c.AckTimeout == 0 {
		c.AckTimeout = d.AckTimeout
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = d.MaxBytes
	}
	if c.Replicas == 0 {
		c.Replicas = 1
		if c.URL != "" {
			c.Replicas = 3
		}
	}
	if c.Clock == nil {
		c.Clock = d.Clock
	}
	if c.Logger == nil {
		c.Logger = d.Logger
	}
	if c.Rand == nil {
		c.Rand = d.Rand
	}
	return c
}

// validToken says whether s is one safe token of a NATS subject.
func validToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return s != ""
}

// validReader says whether s can name a reader: tokens joined by dots.
func validReader(s string) bool {
	start := 0
	for i := range len(s) {
		if s[i] == '.' {
			if !validToken(s[start:i]) {
				return false
			}
			start = i + 1
		}
	}
	return len(s) <= maxReaderBytes && validToken(s[start:])
}

// maxReaderBytes bounds a reader's name; it becomes part of a subject.
const maxReaderBytes = 100
