package graph

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// LogStream is a stream of the graph, for whoever looks after the store that
// holds it.
type LogStream struct {
	Name    string
	Subject string // what its subjects begin with
	// Sound says whether a message's payload is as the graph wrote it. One with
	// a zero byte never is.
	Sound func(payload []byte) bool
}

// LogStreams are the streams that a graph of this prefix keeps; the first holds
// the truth.
func LogStreams(prefix string) []LogStream {
	n := makeNames(prefix)
	return []LogStream{
		{Name: n.graph, Subject: n.prefix, Sound: func(payload []byte) bool {
			raw, err := unseal(payload)
			return err == nil && bytes.IndexByte(raw, 0) < 0
		}},
		{Name: n.state, Subject: n.statePrefix, Sound: func(payload []byte) bool { return bytes.IndexByte(payload, 0) < 0 }},
	}
}

// maxPad is how many messages at the log's end are made up for; more missing
// means another log, or a backup.
const maxPad = 1 << 16

// pad makes the log as long as it was when a projection had read it up to
// want. A log that lost its end would give new mutations the places of lost
// ones, which readers have passed.
func (s *Store) pad(ctx context.Context, want uint64) error {
	last, err := s.last(ctx)
	if err != nil || last >= want || want-last > maxPad {
		return err
	}
	s.cfg.Logger.Error("graph.log_lost_its_end", "from", last+1, "to", want)
	data, err := seal(struct{}{})
	if err != nil {
		return err
	}
	for last < want {
		ack, err := s.cfg.JetStream.Publish(ctx, s.names.padding(), data)
		if err != nil {
			return fmt.Errorf("pad the graph's log: %w", err)
		}
		last = ack.Sequence
	}
	return nil
}

// openStreams makes the streams or takes the ones that are there, as long as
// they keep the promises. An operator's own limits are left alone.
func openStreams(ctx context.Context, cfg Config, n names) (graph, kept jetstream.Stream, err error) {
	common := jetstream.StreamConfig{
		Storage: jetstream.FileStorage, Replicas: cfg.Replicas, AllowDirect: true,
		Retention: jetstream.LimitsPolicy, MaxMsgs: -1, MaxBytes: -1,
		Duplicates: 100 * time.Millisecond, // not used: a mutation names the sequence it expects
	}
	events := common
	events.Name, events.Subjects = n.graph, []string{n.prefix + ">"}
	events.Discard, events.AllowAtomicPublish = jetstream.DiscardNew, true
	state := common
	state.Name, state.Subjects, state.MaxMsgsPerSubject = n.state, []string{n.statePrefix + ">"}, 1

	if graph, err = openStream(ctx, cfg.JetStream, events); err != nil {
		return nil, nil, fmt.Errorf("graph stream %s: %w", events.Name, err)
	}
	if kept, err = openStream(ctx, cfg.JetStream, state); err != nil {
		return nil, nil, fmt.Errorf("graph stream %s: %w", state.Name, err)
	}
	return graph, kept, nil
}

func openStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was faster
			s, err = js.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return nil, err
	}
	got := s.CachedInfo().Config
	switch {
	case got.Storage != jetstream.FileStorage:
		return nil, errors.New("is not on disk")
	case got.PersistMode != jetstream.DefaultPersistMode:
		return nil, errors.New("acknowledges before it has written")
	case want.AllowAtomicPublish && !got.AllowAtomicPublish:
		return nil, errors.New("does not take atomic batches; the server must be 2.12 or newer, with allow_atomic set")
	case !got.AllowDirect, got.Retention != want.Retention, max(got.MaxMsgsPerSubject, 0) != want.MaxMsgsPerSubject:
		return nil, errors.New("was made by something else: its settings differ")
	}
	return s, nil
}
