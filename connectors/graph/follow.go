package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// applyMost is how many messages one transaction projects at most, a whole
	// atomic batch aside.
	applyMost = 2000
	// pullMost is how many messages the consumer asks for ahead.
	pullMost = 4000
	// followPause is the wait after a fault of the log or of the projection.
	followPause = 200 * time.Millisecond
)

// follow projects the log from where the projection stands, until ctx is done
// or, when until is not zero, that sequence is projected. It survives faults
// of the log and of the disk.
func (p *projection) follow(ctx context.Context, stream jetstream.Stream, until uint64) error {
	for {
		at, _ := p.position()
		if until > 0 && at >= until {
			return nil
		}
		err := p.read(ctx, stream, at+1, until)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			p.logger.Warn("graph.follow", slog.Any("error", err))
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(followPause):
			}
		}
	}
}

// read consumes the log from a sequence on.
func (p *projection) read(ctx context.Context, stream jetstream.Stream, from, until uint64) error {
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from})
	if err != nil {
		return fmt.Errorf("read the graph's log: %w", err)
	}
	in := make(chan logged, pullMost)
	stop := make(chan struct{})
	defer close(stop)
	fault := make(chan error, 1)
	reading, err := consumer.Consume(func(msg jetstream.Msg) {
		m, err := received(msg)
		if err != nil {
			select {
			case fault <- err:
			default:
			}
			return
		}
		select {
		case in <- m:
		case <-stop:
		}
	}, jetstream.PullMaxMessages(pullMost), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		p.logger.Debug("graph.consumer", slog.Any("error", err))
	}))
	if err != nil {
		return fmt.Errorf("read the graph's log: %w", err)
	}
	defer func() {
		reading.Stop()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), followPause)
		defer cancel()
		_ = stream.DeleteConsumer(ctx, consumer.CachedInfo().Name) // it would go by itself after a while
	}()
	r := run{p: p, next: from}
	for {
		select {
		case m := <-in:
			if err := r.take(ctx, m, in); err != nil {
				return err
			}
		case err := <-fault:
			return err
		case <-reading.Closed():
			return errors.New("the graph's log reader was closed")
		case <-ctx.Done():
			return ctx.Err()
		}
		if until > 0 && r.next > until {
			return nil
		}
	}
}

func received(msg jetstream.Msg) (logged, error) {
	md, err := msg.Metadata()
	if err != nil {
		return logged{}, fmt.Errorf("message of the graph's log: %w", err)
	}
	h := msg.Headers()
	return logged{seq: md.Sequence.Stream, subject: msg.Subject(), data: msg.Data(), batch: h.Get(hdrBatch), last: h.Get(hdrCommit) != ""}, nil
}

// run gathers messages into transactions that never split an atomic batch.
type run struct {
	p    *projection
	next uint64 // the sequence after the last one gathered
	msgs []logged
	open string // the batch that has begun and not ended
}

// take gathers m and what waits behind it, and applies it.
func (r *run) take(ctx context.Context, m logged, more <-chan logged) error {
	for {
		if err := r.add(ctx, m); err != nil {
			return err
		}
		if r.open == "" && len(r.msgs) >= applyMost {
			break
		}
		select {
		case m = <-more:
			continue
		default:
		}
		if r.open == "" {
			break
		}
		select { // the rest of the batch is on its way
		case m = <-more:
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(answerWait):
			r.p.logger.Error("graph.batch_incomplete", slog.String("batch", r.open), slog.Uint64("seq", r.next-1))
			r.open = ""
			return r.flush(ctx)
		}
	}
	return r.flush(ctx)
}

func (r *run) add(ctx context.Context, m logged) error {
	if m.seq < r.next {
		return nil // seen already
	}
	if m.seq > r.next {
		r.p.missing.Add(m.seq - r.next)
		r.p.logger.Error("graph.gap", slog.Uint64("from", r.next), slog.Uint64("to", m.seq-1))
	}
	if r.open != "" && m.batch != r.open {
		// A batch is stored whole or not at all; this one was cut by damage.
		r.p.logger.Error("graph.batch_incomplete", slog.String("batch", r.open), slog.Uint64("seq", r.next-1))
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	r.open = m.batch
	if m.last {
		r.open = ""
	}
	r.msgs = append(r.msgs, m)
	r.next = m.seq + 1
	return nil
}

// flush applies what is gathered, again and again until the disk takes it.
func (r *run) flush(ctx context.Context) error {
	for len(r.msgs) > 0 {
		err := r.p.apply(ctx, r.msgs)
		if err == nil {
			r.msgs = r.msgs[:0]
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.p.logger.Error("graph.projection", slog.Any("error", err))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followPause):
		}
	}
	return nil
}
