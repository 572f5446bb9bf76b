package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/nats-io/nats.go"
)

const (
	// readBatch and readBytes bound what one request for frames brings.
	readBatch = 256
	readBytes = 4 << 20
	// readTimeout is how long a batch may stand still; a cluster may be between
	// leaders.
	readTimeout = 10 * time.Second
	// readPoll is how often a reader on a cluster looks for frames that others
	// wrote and whose hint it missed.
	readPoll = 500 * time.Millisecond
	// readTries is how often a frame that the store does not give is asked for
	// before it counts as unreadable.
	readTries = 3
)

// Headers of a direct get's answer.
const (
	hdrSequence = "Nats-Sequence"
	hdrTime     = "Nats-Time-Stamp"
	hdrSubject  = "Nats-Subject"

	statusEnd     = "204"
	statusMissing = "404"
)

// Read implements [headlessly.LogReader]. It asks for frames in batches with
// direct gets, so a reader costs the server nothing while it is idle. Frames
// that were trimmed are passed over.
func (l *Log) Read(ctx context.Context, from uint64) iter.Seq2[headlessly.Frame, error] {
	return l.readTo(ctx, from, math.MaxUint64)
}

// ReadTo implements [headlessly.RangeReader].
func (l *Log) ReadTo(ctx context.Context, from, to uint64) iter.Seq2[headlessly.Frame, error] {
	return l.readTo(ctx, from, to)
}

func (l *Log) readTo(ctx context.Context, from, to uint64) iter.Seq2[headlessly.Frame, error] {
	return func(yield func(headlessly.Frame, error) bool) {
		ctx, cancel := l.bound(ctx)
		defer cancel()
		b, err := newBatch(l.sub, l.names.events)
		if err != nil {
			yield(headlessly.Frame{}, fmt.Errorf("read log: %w", err))
			return
		}
		defer b.close()
		r := reader{log: l, batch: b, next: max(from, 1), to: to, yield: yield}
		if err := r.run(ctx); !errors.Is(err, errStopped) {
			yield(headlessly.Frame{}, fmt.Errorf("read log from %d: %w", r.next, err))
		}
	}
}

// errStopped means that the receiver has had enough.
var errStopped = errors.New("stopped")

// bound gives a context that also ends with the log.
func (l *Log) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.stopped, cancel)
	return ctx, func() { stop(); cancel() }
}

// reader is one iteration.
type reader struct {
	log   *Log
	batch *batch
	next  uint64 // the sequence to be yielded next
	to    uint64 // and the last one
	tries int    // how often next was asked for in vain
	yield func(headlessly.Frame, error) bool
}

func (r *reader) run(ctx context.Context) error {
	for {
		err := r.step(ctx)
		switch {
		case err == nil:
		case errors.Is(err, errStopped) || ctx.Err() != nil || r.log.srv != nil:
			return err
		default:
			// A cluster may be between leaders.
			r.log.cfg.Logger.Warn("log not readable for now", slog.Uint64("seq", r.next), slog.Any("error", err))
			r.log.reads.elsewhere(r.log.sub)
			pause(ctx, resendPause)
		}
	}
}

// step yields a batch, or waits for frames.
func (r *reader) step(ctx context.Context) error {
	news := r.log.news.wait()
	if max(r.next, r.log.trimmed.Load()+1) > r.to {
		return errStopped
	}
	if r.next > r.log.last.Load() {
		return r.log.await(ctx, news, r.next)
	}
	r.next = max(r.next, r.log.trimmed.Load()+1)
	if f, ok := r.log.recent.get(r.next); ok {
		r.tries, r.next = 0, f.Seq+1
		return r.give(f, nil)
	}
	before := r.next
	if err := r.batch.get(ctx, r.request(), func(m stored) error { return r.frame(ctx, m) }); err != nil {
		return err
	}
	if r.next > before {
		r.tries = 0
		return nil
	}
	return r.missing(ctx)
}

func (r *reader) request() getRequest {
	return getRequest{Seq: r.next, Batch: readBatch, MaxBytes: readBytes}
}

// frame yields one message of a batch.
func (r *reader) frame(ctx context.Context, m stored) error {
	if m.seq < r.next {
		return nil
	}
	if m.seq > r.next {
		if err := r.gap(ctx, m.seq-1); err != nil {
			return err
		}
	}
	if m.seq > r.to {
		return errStopped
	}
	return r.decoded(m)
}

// decoded yields one message.
func (r *reader) decoded(m stored) error {
	records, err := r.log.dec.decode(m.data)
	r.next = m.seq + 1
	switch {
	case err != nil:
		r.log.stats.corrupt.Add(1)
		r.log.quarantine(m, err)
		return r.give(headlessly.Frame{}, &headlessly.CorruptError{Seq: m.seq, Err: err})
	case len(records) == 0: // padding, see FORMAT.md
		return r.lost(m.seq, m.seq)
	}
	return r.give(headlessly.Frame{Seq: m.seq, Time: m.time, Records: records}, nil)
}

func (r *reader) give(f headlessly.Frame, err error) error {
	if !r.yield(f, err) {
		return errStopped
	}
	return nil
}

// gap passes over next to to, which the store did not give: what its files, or
// the leader, still hold of them is yielded, and the receiver is told of the
// rest, unless they were trimmed.
func (r *reader) gap(ctx context.Context, to uint64) error {
	r.next = max(r.next, r.log.trimmed.Load()+1)
	if r.next > to {
		r.next = to + 1
		return nil
	}
	found, err := r.log.search(ctx, r.next, to)
	if err != nil {
		return err
	}
	for _, m := range found {
		if m.seq > r.next {
			if err := r.lost(r.next, m.seq-1); err != nil {
				return err
			}
		}
		if err := r.decoded(m); err != nil {
			return err
		}
	}
	if r.next > to {
		return nil
	}
	return r.lost(r.next, to)
}

// lost tells the receiver that frames are missing.
func (r *reader) lost(from, to uint64) error {
	r.next = to + 1
	r.log.stats.gaps.Add(to - from + 1)
	r.log.cfg.Logger.Error("log frames are missing", slog.Uint64("from", from), slog.Uint64("to", to))
	return r.give(headlessly.Frame{}, &headlessly.GapError{From: from, To: to})
}

// missing handles a frame that should be there and that no batch brought: the
// store cannot read it, everything behind it was removed, or a replica is late.
func (r *reader) missing(ctx context.Context) error {
	if r.tries++; r.tries < readTries {
		pause(ctx, 10*time.Millisecond)
		return ctx.Err()
	}
	r.tries = 0
	state, err := r.log.state(ctx)
	if err != nil {
		return err
	}
	switch {
	case state.FirstSeq > r.next:
		return r.gap(ctx, state.FirstSeq-1)
	case state.LastSeq < r.next && r.log.srv == nil:
		return errLate
	case state.LastSeq < r.next:
		// The store forgot its end while running.
		return r.gap(ctx, r.log.last.Load())
	}
	return r.gap(ctx, r.next)
}

// errLate means that a server of a cluster does not know frames that others
// have acknowledged: it is cut off, and may even take itself for the leader.
var errLate = errors.New("the server is behind the cluster")

// await blocks until there may be a frame next.
func (l *Log) await(ctx context.Context, news <-chan struct{}, next uint64) error {
	if l.srv != nil {
		select {
		case <-news:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	timer := time.NewTimer(readPoll)
	defer timer.Stop()
	select {
	case <-news:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	state, err := l.state(ctx)
	if err != nil {
		l.cfg.Logger.Debug("log state not known", slog.Any("error", err), slog.Uint64("next", next))
		return ctx.Err()
	}
	l.sawLast(state.LastSeq)
	return nil
}

// Last implements [headlessly.LogReader].
func (l *Log) Last(ctx context.Context) (uint64, error) {
	if l.srv != nil {
		return l.last.Load(), nil
	}
	state, err := l.state(ctx)
	if err != nil {
		return 0, fmt.Errorf("last log frame: %w", err)
	}
	return state.LastSeq, nil
}

// stored is one message as a direct get brings it.
type stored struct {
	seq     uint64
	time    time.Time
	subject string
	data    []byte
}

// getRequest asks for messages from Seq on: one without Batch, else up to that
// many, of any subject or of those that match Next.
type getRequest struct {
	Seq      uint64 `json:"seq,omitempty"`
	Batch    int    `json:"batch,omitempty"`
	MaxBytes int    `json:"max_bytes,omitempty"`
	Next     string `json:"next_by_subj,omitempty"`
}

// batch receives the answers to direct gets, one request at a time.
type batch struct {
	nc      *nats.Conn
	subject string
	inbox   string
	n       uint64
	ch      chan *nats.Msg
	sub     *nats.Subscription
}

func newBatch(nc *nats.Conn, stream string) (*batch, error) {
	b := &batch{nc: nc, subject: "$JS.API.DIRECT.GET." + stream, inbox: nc.NewInbox() + ".", ch: make(chan *nats.Msg, readBatch+8)}
	var err error
	b.sub, err = nc.ChanSubscribe(b.inbox+"*", b.ch)
	return b, err
}

func (b *batch) close() { _ = b.sub.Unsubscribe() }

// get sends one request and calls each for each message, until the end of the
// batch, an error of each's, or a stand-still. A request that finds nothing is
// no error.
func (b *batch) get(ctx context.Context, req getRequest, each func(stored) error) error {
	body, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	b.n++
	reply := b.inbox + strconv.FormatUint(b.n, 36)
	if err := b.nc.PublishRequest(b.subject, reply, body); err != nil {
		return err
	}
	timer := time.NewTimer(readTimeout)
	defer timer.Stop()
	for {
		select {
		case m := <-b.ch:
			if m.Subject != reply {
				continue // the rest of a request given up before
			}
			msg, err := readStored(m)
			if err != nil || msg.seq == 0 {
				return err
			}
			if err := each(msg); err != nil || req.Batch == 0 {
				return err
			}
			timer.Reset(readTimeout)
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return fmt.Errorf("%w from the store in %s", errNoAnswer, readTimeout)
		}
	}
}

// readStored turns an answer into a message; seq is 0 at the end of a batch.
func readStored(m *nats.Msg) (stored, error) {
	switch status := m.Header.Get(hdrStatus); status {
	case "":
	case statusEnd, statusMissing:
		return stored{}, nil
	case noResponders:
		return stored{}, errNoAnswer
	default:
		return stored{}, fmt.Errorf("store answers %s %s", status, m.Header.Get("Description"))
	}
	seq, err := strconv.ParseUint(m.Header.Get(hdrSequence), 10, 64)
	if err != nil {
		return stored{}, fmt.Errorf("read sequence: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(hdrTime))
	if err != nil {
		return stored{}, fmt.Errorf("read time: %w", err)
	}
	return stored{seq: seq, time: at, subject: m.Header.Get(hdrSubject), data: m.Data}, nil
}
