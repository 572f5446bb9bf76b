package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/cmd/flight"
	"github.com/headlessly/headlessly/cmd/housekeeping"
	"github.com/headlessly/headlessly/cmd/telemetry"
	"github.com/headlessly/headlessly/collector"
	"github.com/headlessly/headlessly/collector/dedupe"
	"github.com/headlessly/headlessly/collector/eventlog"
	"github.com/headlessly/headlessly/connectors/alerts"
	"github.com/headlessly/headlessly/connectors/analytics"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/handlers"
	"github.com/headlessly/headlessly/connectors/hooks"
	"github.com/headlessly/headlessly/connectors/lifecycle"
	"github.com/headlessly/headlessly/connectors/mcp"
	"github.com/headlessly/headlessly/connectors/outbox"
	"github.com/headlessly/headlessly/connectors/sandbox"
	"github.com/headlessly/headlessly/connectors/slack"
	"github.com/headlessly/headlessly/connectors/store"
	"github.com/headlessly/headlessly/connectors/webhook"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/all"
	"github.com/headlessly/headlessly/forwarders/rules"
	"github.com/headlessly/headlessly/lakehouse"
)

// Readers of the log.
const (
	readerRouter = "router"
	readerLake   = "lakehouse"
	readerDedupe = "dedupe"

	readerConnectors = "connectors"
)

// lakeDedupe is how many message ids the lakehouse's writer remembers: a second
// lock behind the exact index at the door.
const lakeDedupe = 1 << 17

// Bounds of start, drain and restart.
const (
	drainTimeout  = 30 * time.Second
	headerTimeout = 10 * time.Second
	restartMin    = 500 * time.Millisecond
	restartMax    = 30 * time.Second
)

// Gateway is an opened gateway.
type Gateway struct {
	cfg    config.Config
	logger *slog.Logger
	close  []func(context.Context) error // in the order of opening

	store        *store.Store
	log          *eventlog.Log
	graph        *graph.Store
	hooks        *hooks.Server
	sandbox      *sandbox.Sandbox
	handlers     *handlers.Handlers
	mcp          *mcp.Server
	keys         *control.Keys
	analytics    *analytics.Connector
	connected    *lifecycle.Connections
	outbox       *outbox.Box
	notes        *forwarders.Recorder // of the outbox's attempts
	webhooks     *webhook.Connector
	slack        *slack.Connector
	revenue      revenues
	lake         *lakehouse.Lake
	writer       *lakehouse.Writer
	entityWriter *lakehouse.Writer // the graph's events
	router       *forwarders.Router
	forward      *forwarding
	collector    *collector.Collector
	plane        *control.Plane
	flight       *flight.Server // nil where it is off
	flights      net.Listener
	deps         forwarders.Deps
	telemetry    *telemetry.Telemetry // nil where it is off
	opened       atomic.Bool
	drain        time.Duration // how long requests may take once it stops
	live         live
	forgets      forgets
	known        *dedupe.Index // message ids

	alerts        *alerts.Watch
	metricSources []alerts.Source             // of a tenant's metrics
	alongside     []func(ctx context.Context) // what else runs until the readers stop

	public, private net.Listener
	tls             *tls.Config // nil where plain HTTP is spoken

	// Credentials are those of the default tenant; First says that this start
	// made them.
	Credentials Credentials
	First       bool
}

// Open locks the data folder and makes every part ready. Close or Run it.
func Open(ctx context.Context, cfg config.Config, logger *slog.Logger) (g *Gateway, err error) {
	g = &Gateway{cfg: cfg, logger: logger, drain: drainTimeout, live: live{ended: make(chan struct{})}}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close(context.WithoutCancel(ctx)))
		}
	}()
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return g, fmt.Errorf("make data folder: %w", err)
	}
	unlock, err := eventlog.LockDir(cfg.Data)
	if err != nil {
		return g, err
	}
	g.onClose(func(context.Context) error { return unlock() })
	for _, open := range []func(context.Context) error{ // each stands on those before it
		g.openTelemetry,
		g.openStore,
		g.openLog,
		g.openGraph,
		g.openOutbox,
		g.openConnectors,
		g.openLake,
		g.openRouter,
		g.openForwarding,
		g.openCollector,
		g.openHooks,
		g.openAlerts,
		g.openForgets,
		g.openControl,
	} {
		if err := open(ctx); err != nil {
			return g, err
		}
	}
	g.opened.Store(true)
	return g, nil
}

func (g *Gateway) onClose(f func(context.Context) error) { g.close = append(g.close, f) }

// Close closes what is open, last opened first.
func (g *Gateway) Close(ctx context.Context) error {
	g.opened.Store(false)
	var errs []error
	for i := len(g.close) - 1; i >= 0; i-- {
		errs = append(errs, g.close[i](ctx))
	}
	g.close = nil
	return errors.Join(errs...)
}

func (g *Gateway) openStore(ctx context.Context) (err error) {
	if g.store, err = store.Open(ctx, storeConfig(g.cfg.Data, g.logger)); err != nil {
		return err
	}
	g.onClose(func(context.Context) error { return g.store.Close() })
	g.Credentials, g.First, err = bootstrap(ctx, g.store, &g.cfg)
	return err
}

func (g *Gateway) openLog(ctx context.Context) (err error) {
	c := LogConfig(&g.cfg, g.logger)
	if g.log, err = eventlog.Open(ctx, c); err != nil {
		return err
	}
	g.onClose(g.log.Close)
	return nil
}

// LogConfig is the log's configuration within the gateway's.
func LogConfig(cfg *config.Config, logger *slog.Logger) eventlog.Config {
	c := eventlog.DefaultConfig(filepath.Join(cfg.Data, "log"))
	c.MaxBytes, c.MaxAge, c.Reserve = int64(cfg.Log.MaxSize), cfg.Log.MaxAge, int64(cfg.Log.Reserve)
	c.URL, c.Replicas = cfg.Log.NATS, cfg.Log.Replicas
	c.Readers = []string{readerRouter, readerLake, readerDedupe, readerConnectors}
	for _, s := range graph.LogStreams("") {
		c.Lent = append(c.Lent, eventlog.LentStream(s))
	}
	c.Logger = logger
	return c
}

// LakeConfig is the lakehouse's configuration within the gateway's.
func LakeConfig(cfg *config.Config, logger *slog.Logger) lakehouse.Config {
	c := lakehouse.Default(filepath.Join(cfg.Data, "lake"))
	c.DedupeWindow = lakeDedupe
	c.Catalog = lakehouse.CatalogConfig(cfg.Lakehouse.Catalog)
	c.S3 = lakehouse.S3Config(cfg.Lakehouse.S3)
	for _, p := range cfg.Lakehouse.Promote {
		c.Promote = append(c.Promote, lakehouse.Promotion(p))
	}
	for _, r := range cfg.Lakehouse.Retention {
		c.Maintenance.Retention = append(c.Maintenance.Retention, lakehouse.Retention(r))
	}
	c.CommitInterval, c.MaxBatchBytes, c.Logger = cfg.Lakehouse.CommitInterval, int64(cfg.Lakehouse.CommitSize), logger
	return c
}

func (g *Gateway) openLake(ctx context.Context) (err error) {
	c := LakeConfig(&g.cfg, g.logger)
	c.Tracer, c.SpareWorker = g.telemetry.Tracer(), true
	if g.lake, err = lakehouse.Open(ctx, c); err != nil {
		return fmt.Errorf("open lakehouse: %w", err)
	}
	g.onClose(func(context.Context) error { return g.lake.Close() })
	if g.writer, err = lakehouse.NewWriter(g.lake, g.log); err != nil {
		return err
	}
	events, err := g.graph.LogReader()
	if err != nil {
		return err
	}
	g.entityWriter, err = lakehouse.NewWriter(g.lake, events, lakehouse.WithSource("graph"))
	return err
}

func (g *Gateway) openRouter(context.Context) (err error) {
	c := forwarders.Default()
	c.Log, c.Parked, c.Destinations, c.Client = g.log, g.log, g.analytics, g.deps.Client
	c.Registry, c.Reader, c.Logger, c.Attempts = all.Registry(), readerRouter, g.logger, g.attempts
	c.Deliveries = g.log
	for name, t := range g.cfg.Tenants {
		if err := g.checkDestinations(t.Destinations); err != nil {
			return fmt.Errorf("configuration of tenant %s: %w", name, err)
		}
	}
	g.router, err = forwarders.NewRouter(c)
	return err
}

// checkDestinations builds each connected destination once, so that a rule or
// a template at fault is told when it is connected and not by dead letters.
func (g *Gateway) checkDestinations(d headlessly.Destinations) error {
	var errs []error
	for _, k := range all.Registry() {
		if !k.Connected(d) {
			continue
		}
		_, err := k.Build(d, g.deps)
		if err == nil {
			_, err = rules.Compile(k.Rules(d))
		}
		if err != nil {
			errs = append(errs, &headlessly.FieldError{Code: "validation_failed", Field: "destinations." + k.Name, Message: err.Error()})
		}
	}
	return errors.Join(errs...)
}

func (g *Gateway) openControl(ctx context.Context) (err error) {
	g.plane = control.New(control.Config{ //nolint:contextcheck // its routes are called with a request, which has a context of its own
		Store: g.store, Graph: g.graph, Hooks: g.hooks, Handlers: g.handlers, Ended: g.live.ended, PublicURL: g.PublicURL(), SQL: g.sql, Live: g.live.show, Forwarding: g.forward, Webhooks: g.webhookRoutes(), Forgetting: &g.forgets, Status: g.status, Ready: g.log.Ready, Logger: g.logger,
		MCP: g.mcp, RequestsPerMinute: g.cfg.RequestsPerMinute,
		Mount: map[string]http.Handler{"/iceberg/": http.StripPrefix("/iceberg", g.lake.RESTCatalog(g.catalogAccess))},
	})
	if !g.cfg.Runs(config.RoleControl) {
		return nil
	}
	if g.private, err = g.listen(ctx, g.cfg.Control); err != nil || g.cfg.Flight == "" {
		return err
	}
	return g.openFlight(ctx)
}

// openFlight makes the Arrow Flight SQL server ready.
func (g *Gateway) openFlight(ctx context.Context) (err error) {
	c := flight.Config{Caller: g.plane.SQLCaller, SQL: g.sql, Describe: g.describe, Version: Version, Logger: g.logger}
	if g.cfg.TLS.Flight {
		c.TLS = g.tls
	} else if host, _, err := net.SplitHostPort(g.cfg.Flight); err == nil && !loopback(host) {
		g.logger.Warn("gateway.flight_without_tls", slog.String("address", g.cfg.Flight), slog.String("remedy", "tls: {flight: true}"))
	}
	if g.flight, err = flight.New(c); err != nil {
		return err
	}
	g.flights, err = g.listen(ctx, g.cfg.Flight)
	return err
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// catalogAccess lets the admin key read the tables' metadata: a table holds
// every tenant's rows.
func (g *Gateway) catalogAccess(r *http.Request) (ok bool, status int, reason string) {
	_, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	k, known := g.store.Authenticate(value)
	switch {
	case !known:
		return false, http.StatusUnauthorized, "send Authorization: Bearer hly_admin_… (token in most clients)"
	case k.Kind != headlessly.KeyAdmin:
		return false, http.StatusForbidden, "a table holds every tenant's rows: the catalog wants an admin key (hly_admin_…)"
	}
	return true, 0, ""
}

func (g *Gateway) listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w (choose another address with --listen or --control)", addr, err)
	}
	g.onClose(func(context.Context) error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return l, nil
}

// PublicURL is how browsers reach the gateway.
func (g *Gateway) PublicURL() string {
	if g.cfg.PublicURL != "" {
		return g.cfg.PublicURL
	}
	switch t := g.cfg.TLS; {
	case len(t.Domains) > 0:
		return "https://" + t.Domains[0]
	case t.Cert != "":
		return "https://" + reachable(g.cfg.Listen)
	}
	return "http://" + reachable(g.cfg.Listen)
}

// ControlURL is how this machine reaches the control plane.
func (g *Gateway) ControlURL() string { return "http://" + reachable(g.cfg.Control) }

// Run answers requests until ctx ends, then drains and closes. It returns nil
// after a drain that left nothing behind.
func (g *Gateway) Run(ctx context.Context) error {
	readers, stopReaders := context.WithCancel(context.WithoutCancel(ctx))
	defer stopReaders()
	var wg sync.WaitGroup
	g.runReaders(readers, &wg)

	srv := &http.Server{Handler: g.telemetry.Handler(g.plane), ReadHeaderTimeout: headerTimeout, ErrorLog: slog.NewLogLogger(g.logger.Handler(), slog.LevelWarn)}
	srv.RegisterOnShutdown(func() { close(g.live.ended) })
	srv.RegisterOnShutdown(g.hooks.Close)
	failed := make(chan error, 3)
	go func() { failed <- g.collector.Serve(g.public) }()
	if g.private != nil {
		go func() { failed <- srv.Serve(g.private) }()
	}
	if g.flight != nil {
		go func() { failed <- g.flight.Serve(g.flights) }()
		defer g.flight.Close()
	}

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("listener: %w", err)
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.drain)
	defer cancel()
	err = errors.Join(err, undrained(g.collector.Shutdown(drain)), srv.Shutdown(drain))
	stopReaders()
	wg.Wait()
	// A client that used up the time must not cost the log its clean end.
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	return errors.Join(err, g.Close(closing))
}

// undrained says what it means that requests were cut off.
func undrained(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("some requests did not end in time and were cut off; what was not answered is not acknowledged: %w", err)
}

// runReaders starts what follows the log, by the gateway's roles. Every gateway
// keeps up with the keys that others make.
func (g *Gateway) runReaders(ctx context.Context, wg *sync.WaitGroup) {
	keep := func(name string, run func(context.Context) error) {
		wg.Go(func() { g.keep(ctx, name, run) })
	}
	wg.Go(func() { g.keys.Run(ctx) })
	if g.cfg.Runs(config.RoleCollect) {
		wg.Go(func() { g.collector.KeepUsage(ctx) })
	}
	if g.cfg.Runs(config.RoleForward) {
		keep("router", g.router.Run)
		wg.Go(func() { _ = g.forward.jobs.Run(ctx) })
	}
	if g.cfg.Runs(config.RoleLake) {
		keep("lakehouse", g.writer.Run)
		keep("lakehouse of entities", g.entityWriter.Run)
		wg.Go(func() { housekeeping.Run(ctx, g.collector.Overflows, g.lake.Maintain) })
	}
	if g.cfg.Runs(config.RoleControl) {
		keep("integrations", g.connected.Run)
		wg.Go(func() { g.runOutbox(ctx) })
		keep("receipts", g.receipts)
		keep("snapshots", g.snapshots)
		for _, run := range g.alongside {
			wg.Go(func() { run(ctx) })
		}
		keep("handlers", g.handlers.Run)
		wg.Go(func() { g.forgets.run(ctx) })
	}
}

// keep runs a reader and starts it again when it fails: what it has not
// finished is in the log.
func (g *Gateway) keep(ctx context.Context, name string, run func(context.Context) error) {
	wait := restartMin
	for ctx.Err() == nil {
		start := headlessly.SystemClock()
		err := run(ctx)
		if ctx.Err() != nil {
			return
		}
		if headlessly.SystemClock().Sub(start) > restartMax {
			wait = restartMin
		}
		g.logger.Error("gateway.reader_failed", slog.String("reader", name), slog.Any("error", err), slog.Duration("again_in", wait))
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, restartMax)
	}
}
