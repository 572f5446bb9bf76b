package graph

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Shelf keeps small values that every process over the log shares, apart from
// entities: each has a name, and its last value counts. Safe for concurrent
// use.
type Shelf struct {
	s      *Store
	prefix string
}

// ErrStale means that somebody else has put the value since it was read.
var ErrStale = errors.New("the value has been changed by another process")

// Shelf gives the shelf of this kind: letters, digits, hyphens and underscores.
func (s *Store) Shelf(kind string) (*Shelf, error) {
	if !readerName.MatchString(kind) {
		return nil, invalid("", "kind", "kind: %q, want letters, digits, hyphens and underscores", kind)
	}
	return &Shelf{s: s, prefix: s.names.statePrefix + "kept." + kind + "."}, nil
}

// Put stores a value if its last revision is rev (0: there is none), durably,
// and gives the new one; else ErrStale.
func (h *Shelf) Put(ctx context.Context, name string, value []byte, rev uint64) (uint64, error) {
	if !readerName.MatchString(name) {
		return 0, invalid("", "name", "name: %q, want letters, digits, hyphens and underscores", name)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWait)
	defer cancel()
	ack, err := h.s.cfg.JetStream.Publish(ctx, h.prefix+name, value, jetstream.WithExpectLastSequencePerSubject(rev))
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api) && (api.ErrorCode == codeWrongLast || api.ErrorCode == codeWrongLastConstant):
		return 0, ErrStale
	case err != nil:
		return 0, fmt.Errorf("keep %s%s: %w", h.prefix, name, err)
	}
	return ack.Sequence, nil
}

// Get reads a value; rev is 0 where there is none.
func (h *Shelf) Get(ctx context.Context, name string) (value []byte, rev uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	m, err := h.s.state.GetLastMsgForSubject(ctx, h.prefix+name)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read %s%s: %w", h.prefix, name, err)
	}
	return m.Data, m.Sequence, nil
}

// Watch calls f with each value, and then with each change, from one goroutine
// at a time. It returns once f has seen what was there, and goes on until stop
// is called or the graph is closed.
func (h *Shelf) Watch(ctx context.Context, f func(name string, value []byte, rev uint64)) (stop func(), err error) {
	consumer, err := h.s.state.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{h.prefix + "*"}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return nil, fmt.Errorf("watch %s*: %w", h.prefix, err)
	}
	there := make(chan struct{})
	var seen sync.Once
	if info, err := consumer.Info(ctx); err != nil {
		return nil, fmt.Errorf("watch %s*: %w", h.prefix, err)
	} else if info.NumPending == 0 && info.Delivered.Consumer == 0 {
		seen.Do(func() { close(there) })
	}
	reading, err := consumer.Consume(func(m jetstream.Msg) {
		md, err := m.Metadata()
		if err != nil {
			return
		}
		f(strings.TrimPrefix(m.Subject(), h.prefix), m.Data(), md.Sequence.Stream)
		if md.NumPending == 0 {
			seen.Do(func() { close(there) })
		}
	})
	if err != nil {
		return nil, fmt.Errorf("watch %s*: %w", h.prefix, err)
	}
	stopped := context.AfterFunc(h.s.ctx, reading.Stop) //nolint:contextcheck // it ends with the graph
	end := func() { stopped(); reading.Stop(); <-reading.Closed() }
	select {
	case <-there:
		return end, nil
	case <-ctx.Done():
		end()
		return nil, ctx.Err()
	case <-time.After(watchWait):
		end()
		return nil, fmt.Errorf("watch %s*: the log does not answer", h.prefix)
	}
}

// watchWait bounds how long a shelf's first values may take.
const watchWait = time.Minute
