package graph

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

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
