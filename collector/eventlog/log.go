package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrClosed means that the log has been closed.
var ErrClosed = errors.New("log is closed")

// Log is the durable log, its readers' cursors and the parked items. Make one
// with [Open]. Safe for concurrent use.
type Log struct {
	cfg   Config
	names names
	id    logID

	srv    *server.Server // nil on a cluster
	unlock func() error   // nil on a cluster
	pub    *nats.Conn     // frames, cursors, parked
	sub    *nats.Conn     // reads, so that a long read never delays an ack
	reads  mover
	writes mover
	js     jetstream.JetStream
	read   jetstream.JetStream

	lentMu   sync.Mutex
	lent     []*nats.Conn // connections of other parts of the process
	shutting bool

	appender
	sending     sync.Mutex // held from taking a frame until it is on its way
	writers     [2]*committer
	dec         *decoder
	last        atomic.Uint64 // newest durable sequence known here
	trimmed     atomic.Uint64 // frames up to here went by Trim or never were
	news        broadcast     // new frames
	recent      recent        // the newest of them
	cursors     cursorCache
	parked      parkedState
	stats       counters
	salvage     salvageReport
	quarantined atomic.Int64

	used    atomic.Int64 // bytes of the events stream
	disk    diskWatch
	drained chan struct{} // closed when the committer has nothing left

	stop    context.CancelFunc // ends the background work
	stopped context.Context    //nolint:containedctx // the log's own lifetime, not a request's
	work    sync.WaitGroup
	closing sync.Once
	closeIs error
}

// The log is what its readers and writers know it as.
var (
	_ headlessly.Appender    = (*Log)(nil)
	_ headlessly.RangeReader = (*Log)(nil)
	_ headlessly.Parked      = (*Log)(nil)
)

// Open starts the log and returns once it accepts writes. ctx bounds the start
// only.
func Open(ctx context.Context, cfg Config) (_ *Log, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.filled()
	l := &Log{cfg: cfg, names: makeNames(cfg.Prefix), drained: make(chan struct{})}
	l.stopped, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			l.abandon()
			err = fmt.Errorf("open log: %w", err)
		}
	}()
	if cfg.URL == "" {
		if err := l.openStore(ctx); err != nil {
			return nil, err
		}
	}
	if err := l.connect(ctx); err != nil {
		return nil, err
	}
	if err := l.prepare(ctx); err != nil {
		return nil, err
	}
	l.start()
	return l, nil
}

// connect opens both connections and the streams.
func (l *Log) connect(ctx context.Context) (err error) {
	if l.pub, err = connect(l.cfg, l.srv, "log writer"); err != nil {
		return err
	}
	if l.sub, err = connect(l.cfg, l.srv, "log reader"); err != nil {
		return err
	}
	l.reads.clock, l.writes.clock = l.cfg.Clock, l.cfg.Clock
	if l.js, err = jetstream.New(l.pub); err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	if l.read, err = jetstream.New(l.sub); err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	if err := l.patiently(ctx, l.openStreams); err != nil {
		return err
	}
	l.dec, err = newDecoder()
	return err
}

// prepare brings what is kept in memory in line with the store.
func (l *Log) prepare(ctx context.Context) error {
	if l.srv != nil {
		if err := syncTree(l.cfg.Dir); err != nil {
			return fmt.Errorf("sync log folder: %w", err)
		}
	}
	room := int(l.pub.MaxPayload()) - frameRoom
	l.appender.init(l.cfg, room)
	for _, load := range []func(context.Context) error{l.loadCursors, l.loadID, l.loadState, l.loadRemoved} {
		if err := l.patiently(ctx, load); err != nil {
			return err
		}
	}
	for i := range l.writers {
		c, err := l.newCommitter(i > 0)
		if err != nil {
			return err
		}
		l.writers[i] = c
	}
	if l.srv != nil {
		return l.pad(ctx)
	}
	if _, err := l.sub.Subscribe(l.names.hint, func(m *nats.Msg) { l.heard(m.Data) }); err != nil {
		return fmt.Errorf("listen for frames: %w", err)
	}
	return nil
}

// streamsTimeout bounds how long a cluster may take to elect its leaders.
const streamsTimeout = time.Minute

// patiently does one step of the start, again and again while a cluster has no
// leader.
func (l *Log) patiently(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, streamsTimeout)
	defer cancel()
	for {
		err := step(ctx)
		if err == nil || l.srv != nil || ctx.Err() != nil || !passing(err) {
			return err
		}
		l.writes.elsewhere(l.pub)
		l.reads.elsewhere(l.sub)
		pause(ctx, resendPause)
	}
}

// start begins the background work.
func (l *Log) start() {
	l.work.Go(func() {
		var committing sync.WaitGroup
		for _, c := range l.writers {
			committing.Go(c.run)
		}
		committing.Wait()
		close(l.drained)
	})
	l.work.Go(l.keepLoop)
}

// Close waits until what was appended is durable, then stops the log. After ctx
// is done it stops without waiting; what was not acknowledged may be lost.
func (l *Log) Close(ctx context.Context) error {
	l.closing.Do(func() {
		clean := l.drain(ctx)
		l.stop()
		l.work.Wait()
		l.closeIs = errors.Join(clean, l.shut(clean == nil))
	})
	return l.closeIs
}

// shut closes the connections and the server. A clean shut is noted, so that
// the next start need not search the store for damage.
func (l *Log) shut(clean bool) error {
	last := l.last.Load()
	l.closeLent()
	for _, nc := range []*nats.Conn{l.pub, l.sub} {
		if nc != nil {
			nc.Close()
		}
	}
	var errs []error
	if l.srv != nil {
		stopServer(l.srv)
		if clean {
			errs = append(errs, noteClean(l.cfg.Dir, last))
		}
	}
	if l.unlock != nil {
		errs = append(errs, l.unlock())
	}
	return errors.Join(errs...)
}

// abandon undoes a failed Open.
func (l *Log) abandon() {
	l.stop()
	if err := l.shut(false); err != nil {
		l.cfg.Logger.Warn("log not cleanly abandoned", slog.Any("error", err))
	}
}

// broadcast wakes everybody who waits. The zero value is ready.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait gives a channel that is closed at the next wake.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
