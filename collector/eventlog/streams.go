package eventlog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// names are the streams and subjects of one log.
type names struct {
	events, cursors, parked string // streams
	subject                 string // of frames; the shard is its last token
	cursor                  string // prefix of cursor subjects
	park                    string // prefix of parked subjects
	gone                    string // prefix of records of removed parked items
	hint                    string // announces new frames to other processes
}

func makeNames(prefix string) names {
	stream, subject := "", ""
	if prefix != "" {
		stream, subject = prefix+"_", prefix+"."
	}
	return names{
		events: stream + "events", cursors: stream + "cursors", parked: stream + "parked",
		subject: subject + "events.00", cursor: subject + "cursors.", park: subject + "parked.",
		gone: subject + "parkedgone.", hint: subject + "eventshint",
	}
}

// eventsSubjects covers every shard.
func (n names) eventsSubjects() string { return n.subject[:len(n.subject)-len("00")] + "*" }

// openStreams makes the streams or checks the ones that are there.
func (l *Log) openStreams(ctx context.Context) error {
	n, cfg := l.names, l.cfg
	// Callers' retries carry a message id on a cluster only: rebuilding a
	// window of ids costs the start of an embedded log.
	window := 100 * time.Millisecond
	if cfg.URL != "" {
		window = 2 * time.Minute
	}
	common := jetstream.StreamConfig{
		Storage: jetstream.FileStorage, Replicas: cfg.Replicas, Duplicates: window,
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		PersistMode: jetstream.DefaultPersistMode, MaxMsgs: -1, MaxBytes: -1,
	}
	events := common
	events.Name, events.Subjects, events.AllowDirect = n.events, []string{n.eventsSubjects()}, true
	cursors := common
	cursors.Name, cursors.Subjects = n.cursors, []string{n.cursor + ">"}
	cursors.MaxMsgsPerSubject, cursors.Discard = 1, jetstream.DiscardOld
	parked := common
	parked.Name, parked.Subjects, parked.AllowDirect = n.parked, []string{n.park + ">", n.gone + "*"}, true

	for _, want := range []jetstream.StreamConfig{events, cursors, parked} {
		if err := openStream(ctx, l.js, want); err != nil {
			return fmt.Errorf("log stream %s: %w", want.Name, err)
		}
	}
	return nil
}

// passing says whether an error of the cluster may go away by itself: it is
// between leaders, or has just been started.
func passing(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code == http.StatusServiceUnavailable || api.ErrorCode == codeNoPeers
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoStreamResponse) ||
		errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrDisconnected)
}

// openStream makes the stream or takes the one that is there as it is, as long
// as it keeps the promises: on disk, each write synced, enough replicas. An
// operator's own limits on a cluster are left alone.
func openStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = js.CreateStream(ctx, want)
	}
	if err != nil {
		return err
	}
	got := s.CachedInfo().Config
	switch {
	case got.Storage != jetstream.FileStorage:
		return errors.New("is not on disk")
	case got.PersistMode != jetstream.DefaultPersistMode:
		return errors.New("acknowledges before it has written")
	case got.Replicas < want.Replicas:
		return fmt.Errorf("has %d replicas, want %d", got.Replicas, want.Replicas)
	case want.AllowDirect && !got.AllowDirect, got.Retention != want.Retention,
		max(got.MaxMsgsPerSubject, 0) != want.MaxMsgsPerSubject:
		return errors.New("was made by something else: its settings differ")
	}
	return nil
}
