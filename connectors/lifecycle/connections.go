package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

const integration = "Integration"

// Statuses of an integration.
const (
	statusConnected    = "Connected"
	statusActive       = "Active"
	statusSyncing      = "Syncing"
	statusSynced       = "Synced"
	statusErrored      = "Errored"
	statusDisconnected = "Disconnected"
)

// linkedStatuses are those of an integration that has a credential.
func linkedStatuses() []any {
	return []any{statusConnected, statusActive, statusSyncing, statusSynced, statusErrored}
}

// Connections are the integrations of every tenant. Safe for concurrent use.
type Connections struct {
	cfg  Config
	seen reached // up to where events of integrations were followed

	mu    sync.RWMutex
	links map[string]*linked // by integration id
	wake  chan struct{}
	// flying are entities with a mutation on its way, and until when to wait.
	flying map[string]time.Time
	making map[string]making // integrations that are being made, by tenant and slug

	syncs sync.WaitGroup
	slots chan struct{} // bounds the syncs that run at once
}

// linked is an integration that has a credential.
type linked struct {
	link   *connectors.Link
	conn   connectors.Connector
	kind   connectors.Kind
	detach func()

	// Guarded by Connections.mu.
	status  string
	refused bool // the credential was; no sync by itself
	gone    bool // unlinked: nothing more starts for it
	syncing bool
	asked   bool // by a caller, whose before hooks have run
	again   bool // another sync was asked for meanwhile
	due     time.Time
	stop    context.CancelFunc
	ended   chan struct{} // closed when the sync that runs has ended; nil for none
	held    string        // why a hook did not let the last sync start
	phase   string
	count   int64
}

// syncsAtOnce bounds the syncs that run at the same time.
const syncsAtOnce = 8

// Open registers the handlers with the graph, moves integrations of the version
// before, and loads what is connected.
func Open(ctx context.Context, cfg Config) (*Connections, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Connections{cfg: cfg, links: map[string]*linked{}, flying: map[string]time.Time{}, making: map[string]making{}, wake: make(chan struct{}, 1), slots: make(chan struct{}, syncsAtOnce)}
	if err := c.handlers(); err != nil {
		return nil, err
	}
	if err := c.moveFormer(ctx); err != nil {
		return nil, fmt.Errorf("move integrations of the version before: %w", err)
	}
	c.seen.move(cfg.Graph.Position())
	return c, c.load(ctx)
}

// load builds the links of everything that is connected.
func (c *Connections) load(ctx context.Context) error {
	for _, tenant := range c.cfg.Store.Tenants() {
		sc, err := c.cfg.Graph.Scope(tenant, graph.Anonymous)
		if err != nil {
			return err
		}
		q := graph.Query{Type: integration, Filter: map[string]any{"status": map[string]any{"$in": linkedStatuses()}}, Limit: graph.MaxLimit, NoTotal: true}
		for more := true; more; {
			page, err := sc.Find(ctx, q)
			if err != nil {
				return fmt.Errorf("load integrations of %s: %w", tenant, err)
			}
			for _, e := range page.Results {
				if err := c.put(ctx, e); err != nil {
					return err
				}
			}
			more, q.Cursor = page.HasMore, page.Cursor
		}
	}
	return nil
}

// link makes the working snapshot of an integration.
func (c *Connections) link(e *graph.Entity) (*connectors.Link, error) {
	f := e.Fields()
	config, _ := f["config"].(map[string]any)
	l, err := c.blank(e.Tenant, e.ID, e.Text("provider"))
	if err != nil {
		return nil, err
	}
	l.Fields, l.Config, l.Secrets = f, config, c.cfg.Store.Credentials(e.ID)
	return l, nil
}

func (c *Connections) blank(tenant, id, provider string) (*connectors.Link, error) {
	sc, err := c.cfg.Graph.Scope(tenant, id)
	if err != nil {
		return nil, err
	}
	return &connectors.Link{
		Tenant: tenant, ID: id, InboundURL: c.cfg.inbound(tenant, provider, id), Graph: sc, Store: c.cfg.Graph,
		Client: c.cfg.Client, Clock: c.cfg.Clock, Sleep: c.cfg.Sleep,
		Logger: c.cfg.Logger.With(slog.String("integration", id), slog.String("tenant", tenant)),
		Fail:   func(ctx context.Context, err error) { c.failed(ctx, id, err) },
	}, nil
}

// put takes an integration as it stands now: linked, or not.
func (c *Connections) put(ctx context.Context, e *graph.Entity) error {
	conn := c.cfg.Registry.Find(e.Text("provider"))
	if conn == nil || !slices.Contains(linkedStatuses(), any(e.Text("status"))) {
		c.drop(e.ID)
		return nil
	}
	l, err := c.link(e)
	if err != nil {
		return err
	}
	n := &linked{link: l, conn: conn, kind: conn.Kind(), status: e.Text("status")}
	if !n.kind.SecretsOptional && len(l.Secrets) == 0 {
		c.drop(e.ID)
		if n.status != statusErrored {
			c.emit(ctx, l, "Errored", map[string]any{"status": statusErrored, "error": "its credential is not stored here; connect it again", "errorCount": 1})
		}
		return nil
	}
	if !n.kind.AttachFirst {
		c.drop(e.ID)
	}
	c.mu.Lock()
	old := c.links[e.ID]
	n.due = c.firstSync(e)
	c.links[e.ID] = n
	c.mu.Unlock()
	defer c.end(old)
	if a, ok := conn.(connectors.Attacher); ok {
		detach, err := a.Attach(ctx, l)
		if err != nil {
			c.failed(ctx, e.ID, err)
			return nil
		}
		c.mu.Lock()
		gone := n.gone
		n.detach = detach
		c.mu.Unlock()
		if gone && detach != nil { // disconnected while it was attached
			detach()
		}
	}
	c.poke()
	return nil
}

// drop unlinks an integration: its sync is ended, what is attached is detached.
// It gives what closes once the sync has ended, nil when none runs.
func (c *Connections) drop(id string) (ended <-chan struct{}) {
	c.mu.Lock()
	n := c.links[id]
	delete(c.links, id)
	c.mu.Unlock()
	return c.end(n)
}

func (c *Connections) end(n *linked) (ended <-chan struct{}) {
	if n == nil {
		return nil
	}
	c.mu.Lock()
	n.gone = true
	stop, detach, ended := n.stop, n.detach, n.ended
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
	if detach != nil {
		detach()
	}
	return ended
}

func (c *Connections) find(id string) *linked {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.links[id]
}

func (c *Connections) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run follows what happens to integrations, runs syncs, and tries receipts that
// wait, until ctx ends. Then it waits for what is running.
func (c *Connections) Run(ctx context.Context) error {
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	all.Go(func() {
		if err := c.follow(ctx); err != nil {
			failed <- err
			cancel()
		}
	})
	all.Go(func() { c.schedule(ctx) })
	all.Go(func() { c.retryWaiting(ctx) })
	all.Wait()
	c.syncs.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// Close detaches every connector.
func (c *Connections) Close() error {
	c.mu.RLock()
	var ids []string
	for id := range c.links {
		ids = append(ids, id)
	}
	c.mu.RUnlock()
	for _, id := range ids {
		c.drop(id)
	}
	return nil
}

// follow learns what happens to integrations, in this process and in others.
func (c *Connections) follow(ctx context.Context) error {
	c.seen.running(true)
	defer c.seen.running(false)
	for e, err := range c.cfg.Graph.FollowType(ctx, integration, c.seen.at()) {
		if err != nil {
			return fmt.Errorf("follow integrations: %w", err)
		}
		if err := c.happened(ctx, e); err != nil && ctx.Err() == nil {
			c.cfg.Logger.Warn("integration.follow", slog.String("event", e.ID), slog.Any("error", err))
		}
		c.seen.move(e.Seq)
	}
	return nil
}

func (c *Connections) happened(ctx context.Context, e *graph.Event) error {
	sc, err := c.cfg.Graph.Scope(e.Tenant, e.Target)
	if err != nil {
		return err
	}
	now, err := sc.Get(ctx, integration, e.Target, graph.AsOf{})
	if graph.CodeOf(err) == graph.CodeNotFound {
		c.drop(e.Target)
		return nil
	}
	if err != nil {
		return err
	}
	own := e.Actor == e.Target && e.Cause == ""
	switch n := c.find(e.Target); {
	case !own && e.Name == "Integration.Syncing" && n != nil:
		c.setStatus(n, now.Text("status"))
		c.ask(n)
	case own && n != nil && now.Text("status") != statusDisconnected:
		c.setStatus(n, now.Text("status"))
	default:
		return c.put(ctx, now)
	}
	return nil
}

// failed records that an integration does not work, or with nil that it works
// again.
func (c *Connections) failed(ctx context.Context, id string, cause error) {
	n := c.find(id)
	if n == nil {
		return
	}
	c.mu.Lock()
	was := n.status
	var cred *connectors.CredentialError
	n.refused = errors.As(cause, &cred)
	switch {
	case cause == nil && was != statusErrored:
		c.mu.Unlock()
		return
	case cause == nil:
		n.status = statusConnected
	default:
		n.status = statusErrored
	}
	c.mu.Unlock()
	if cause == nil {
		c.emit(ctx, n.link, "Recovered", map[string]any{"status": statusConnected, "error": nil, "errorCount": 0})
		return
	}
	count := int64(1)
	if e, err := n.link.Graph.Get(ctx, integration, id, graph.AsOf{}); err == nil {
		if before, err := e.Number("errorCount").Int64(); err == nil {
			count += before
		}
	}
	c.emit(ctx, n.link, "Errored", map[string]any{"status": statusErrored, "error": scrub(n.link, cause.Error()), "errorCount": count})
}
