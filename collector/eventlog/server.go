package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// startTimeout bounds how long the embedded server may take to read its store:
// a log of 100 GB on a slow disk, found not cleanly shut.
const startTimeout = 10 * time.Minute

// startServer runs a JetStream server inside this process, without a listener,
// and makes sure that it syncs each write.
func startServer(ctx context.Context, cfg Config) (*server.Server, error) {
	srv, err := server.NewServer(serverOptions(cfg))
	if err != nil {
		return nil, fmt.Errorf("embedded log server: %w", err)
	}
	srv.SetLogger(serverLogger{cfg.Logger}, false, false)
	started := make(chan struct{})
	go func() {
		defer close(started)
		srv.Start()
	}()
	select {
	case <-started:
	case <-ctx.Done():
		<-started
		stopServer(srv)
		return nil, ctx.Err()
	}
	if !srv.ReadyForConnections(startTimeout) {
		stopServer(srv)
		return nil, errors.New("embedded log server did not start")
	}
	if err := checkSyncAlways(srv); err != nil && !cfg.relaxed {
		stopServer(srv)
		return nil, err
	}
	return srv, nil
}

// serverOptions is how the embedded server runs: every write is followed by an
// fsync before it is acknowledged.
func serverOptions(cfg Config) *server.Options {
	return &server.Options{
		ServerName:             "headlessly",
		DontListen:             true,
		NoSigs:                 true,
		JetStream:              true,
		DisableJetStreamBanner: true,
		StoreDir:               cfg.Dir,
		SyncAlways:             !cfg.syncOff && !cfg.relaxed,
		MaxPayload:             maxPayload,
		JetStreamMaxMemory:     64 << 20,
		JetStreamMaxStore:      math.MaxInt64 / 4, // Config.MaxBytes and Reserve decide
	}
}

// checkSyncAlways reads back what the running store does, whatever was asked.
func checkSyncAlways(srv *server.Server) error {
	js := srv.JetStreamConfig()
	if js == nil {
		return errors.New("embedded log server runs without JetStream; its folder may not be writable")
	}
	if !js.SyncAlways {
		return errors.New("embedded log server does not sync each write: refusing to acknowledge what a power cut would lose")
	}
	return nil
}

func stopServer(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}

// embeddedWait is how long the server in this process may take to greet a
// connection: there is no other to try, and a busy machine is no fault of it.
const embeddedWait = 30 * time.Second

// connect opens one connection to the embedded server, or to the cluster.
func connect(cfg Config, srv *server.Server, name string) (*nats.Conn, error) {
	opts := []nats.Option{
		nats.Name("headlessly " + name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(200 * time.Millisecond),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			cfg.Logger.Warn("log connection", slog.String("connection", name), slog.Any("error", err))
		}),
	}
	url := cfg.URL
	if srv != nil {
		url = ""
		opts = append(opts, nats.InProcessServer(srv), nats.Timeout(embeddedWait))
	} else {
		// What is published while no server can be reached fails at once and is
		// tried again by the committer, in order.
		opts = append(opts, nats.ReconnectBufSize(-1))
		opts = append(opts, cfg.Options...)
	}
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to log: %w", err)
	}
	return nc, nil
}

// mover takes a connection to another server of a cluster: one that is cut off
// from the others keeps its clients without knowing.
type mover struct {
	clock headlessly.Clock
	mu    sync.Mutex
	moved time.Time
}

// moveEvery is how often a connection is moved at most.
const moveEvery = 5 * time.Second

func (m *mover) elsewhere(nc *nats.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.clock(); now.Sub(m.moved) >= moveEvery {
		m.moved = now
		_ = nc.ForceReconnect() // closed: nothing to move
	}
}

// serverLogger passes the server's own log on. Its text goes into an attribute
// so that the event names stay constant.
type serverLogger struct{ to *slog.Logger }

func (l serverLogger) log(level slog.Level, format string, v []any) {
	if l.to.Enabled(context.Background(), level) {
		l.to.Log(context.Background(), level, "jetstream", slog.String("text", fmt.Sprintf(format, v...)))
	}
}

func (l serverLogger) Noticef(format string, v ...any) { l.log(slog.LevelDebug, format, v) }
func (l serverLogger) Warnf(format string, v ...any)   { l.log(slog.LevelWarn, format, v) }
func (l serverLogger) Errorf(format string, v ...any)  { l.log(slog.LevelError, format, v) }
func (l serverLogger) Fatalf(format string, v ...any)  { l.log(slog.LevelError, format, v) }
func (l serverLogger) Debugf(format string, v ...any)  { l.log(slog.LevelDebug, format, v) }
func (l serverLogger) Tracef(format string, v ...any)  { l.log(slog.LevelDebug, format, v) }
