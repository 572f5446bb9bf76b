package graph

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"
)

// Store is the graph of all tenants: the log, its projection, and the hooks.
// Safe for concurrent use.
type Store struct {
	cfg    Config
	names  names
	types  *Types
	ids    *ids
	stream jetstream.Stream // the truth
	state  jetstream.Stream // cursors and what hooks keep

	viewing    sync.RWMutex // held by queries, so that their projection stays open
	projection atomic.Pointer[projection]
	rebuilding sync.Mutex
	commits    *committer
	wire       *wire
	busy       keyLocks
	hooks      hooks
	remotes    *remotes

	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup // followers and after hooks
	closed  sync.Once
}

// Open opens the graph. It returns once everything that the log holds is
// projected; a projection that does not belong to the log or to the types is
// built anew, which takes a while for a long log. ctx bounds opening only.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg.filled(), names: makeNames(cfg.Prefix)}
	s.types = s.cfg.Types
	s.hooks.init()
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	if s.ids, err = newIDs(s.cfg.Rand); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the graph's projection: %w", err)
	}
	if s.stream, s.state, err = openStreams(ctx, s.cfg, s.names); err != nil {
		return nil, err
	}
	if s.wire, err = newWire(s.cfg.JetStream.Conn(), s.stream); err != nil {
		return nil, err
	}
	p, err := s.openLatest(ctx)
	if err != nil {
		s.wire.close()
		return nil, err
	}
	if err := s.catchUp(ctx, p, nil); err != nil {
		p.close()
		s.wire.close()
		return nil, err
	}
	s.projection.Store(p)
	if s.remotes, err = s.openRemotes(ctx); err != nil {
		s.stop()
		p.close()
		s.wire.close()
		return nil, err
	}
	s.start(p)                                         //nolint:contextcheck // it follows the log until Close, not until ctx ends
	s.commits = newCommitter(s.wire, s.cfg.AckTimeout) //nolint:contextcheck // it works until Close
	return s, nil
}

// Close stops hooks and streams, lets the mutations that the log has taken
// finish, and closes the projection. JetStream stays open.
func (s *Store) Close() error {
	s.closed.Do(func() {
		s.commits.close()
		s.stop()
		s.running.Wait()
		s.wire.close()
		s.viewing.Lock() // queries under way end first
		defer s.viewing.Unlock()
		s.projection.Load().close()
	})
	return nil
}

// Types are the entity types that the graph knows.
func (s *Store) Types() *Types { return s.types }

// start follows the log into p from now on.
func (s *Store) start(p *projection) {
	ctx, cancel := context.WithCancel(s.ctx)
	p.stop = cancel
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		defer close(p.stopped)
		_ = p.follow(ctx, s.stream, 0) // ends with its context only
	}()
}

// LastOf is the sequence of a type's last event that this process has projected
// since it opened its projection, 0 when there was none: whoever keeps something
// that follows from entities of a type sees by it when to read them again.
func (s *Store) LastOf(typ string) uint64 {
	if seq, ok := s.projection.Load().newest.Load(typ); ok {
		return seq.(uint64) //nolint:forcetypeassert // only sequences go in
	}
	return 0
}

// view gives the projection to read from; it stays open until release.
func (s *Store) view() (p *projection, release func()) {
	s.viewing.RLock()
	return s.projection.Load(), s.viewing.RUnlock
}

// reach blocks until this process shows what the log holds at seq.
func (s *Store) reach(ctx context.Context, seq uint64) error {
	for {
		p := s.projection.Load()
		err := p.wait(ctx, seq)
		if errors.Is(err, errRetired) {
			continue
		}
		s.viewing.RLock() // not while a rebuilt projection takes over: it may be behind what p has just shown
		same := s.projection.Load() == p
		s.viewing.RUnlock()
		if err != nil || same {
			return err
		}
	}
}

// Position is the place in the log up to which this process shows it.
func (s *Store) Position() uint64 {
	p, release := s.view()
	defer release()
	at, _ := p.position()
	return at
}

// Projections are files named graph.N.db; the highest N counts.
const (
	filePrefix = "graph."
	fileSuffix = ".db"
)

func (s *Store) file(n int) string {
	return filepath.Join(s.cfg.Dir, filePrefix+strconv.Itoa(n)+fileSuffix)
}

// generations lists the numbers of the projections in the folder.
func (s *Store) generations() (highest int, all []int, err error) {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return 0, nil, fmt.Errorf("folder of the graph's projection: %w", err)
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), filePrefix)
		if !ok || !strings.HasSuffix(rest, fileSuffix) {
			continue
		}
		if n, err := strconv.Atoi(strings.TrimSuffix(rest, fileSuffix)); err == nil {
			all = append(all, n)
			highest = max(highest, n)
		}
	}
	return highest, all, nil
}

func (s *Store) remove(n int) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(s.file(n) + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// openLatest opens the newest projection if it belongs to the log and the
// types, else an empty one.
func (s *Store) openLatest(ctx context.Context) (*projection, error) {
	highest, all, err := s.generations()
	if err != nil {
		return nil, err
	}
	if highest > 0 {
		p, m, err := openProjection(ctx, s.file(highest), s.types, s.names, s.cfg.Logger)
		if err == nil {
			if m.stream == s.identity() {
				if err := s.pad(ctx, m.applied); err != nil {
					p.close()
					return nil, err
				}
			}
			if err = s.fits(ctx, m); err == nil {
				return p, nil
			}
			p.close()
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.cfg.Logger.Warn("graph.rebuild", "reason", err.Error())
	}
	for _, n := range all {
		if err := s.remove(n); err != nil {
			return nil, fmt.Errorf("remove projection: %w", err)
		}
	}
	return s.newProjection(ctx, highest+1)
}

func (s *Store) newProjection(ctx context.Context, n int) (*projection, error) {
	p, _, err := openProjection(ctx, s.file(n), s.types, s.names, s.cfg.Logger)
	if err != nil {
		return nil, err
	}
	if err := p.create(ctx, s.identity()); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// identity tells one stream from another of the same name.
func (s *Store) identity() string {
	return s.stream.CachedInfo().Created.UTC().Format("2006-01-02T15:04:05.000000000")
}

// fits says why a projection does not belong to the log or the types.
func (s *Store) fits(ctx context.Context, m meta) error {
	switch {
	case m.schema != schemaVersion:
		return fmt.Errorf("its schema is %q, this program's %q", m.schema, schemaVersion)
	case m.types != s.types.fingerprint():
		return errors.New("the types have changed")
	case m.stream != s.identity():
		return errors.New("it belongs to another log")
	case s.cfg.Rebuild:
		return errors.New("the log has been mended")
	case m.applied == 0:
		return nil
	}
	msg, err := s.stream.GetMsg(ctx, m.applied)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("the log does not have message %d, which it has", m.applied)
	}
	if err != nil {
		return err
	}
	if got := (logged{subject: msg.Subject, data: msg.Data}).sum(); got != m.sum {
		return fmt.Errorf("message %d of the log is another", m.applied)
	}
	return nil
}

// last is the newest sequence of the log.
func (s *Store) last(ctx context.Context) (uint64, error) {
	info, err := s.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("state of the graph's log: %w", err)
	}
	return info.State.LastSeq, nil
}
