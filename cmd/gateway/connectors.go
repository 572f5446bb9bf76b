package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/all"
	"github.com/headlessly/headlessly/connectors/analytics"
	"github.com/headlessly/headlessly/connectors/lifecycle"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/egress"
)

const (
	// maxProviderAnswer is how much of a provider's answer is read: a page of
	// a hundred invoices is a few hundred kilobytes.
	maxProviderAnswer = 16 << 20
	// commitEvery is the least time between commits of the receipts' cursor.
	commitEvery = 100 * time.Millisecond
)

// openConnectors makes the connectors and the integrations of every tenant
// ready.
func (g *Gateway) openConnectors(ctx context.Context) (err error) {
	g.deps = forwarders.Deps{Client: egress.New(egress.Config{AllowPrivate: g.cfg.Egress.AllowPrivate}), Clock: headlessly.SystemClock, Logger: g.logger}
	g.analytics = analytics.New(g.checkDestinations)
	for name, t := range g.cfg.Tenants {
		g.analytics.SetFixed(name, t.Destinations)
	}
	c := lifecycle.Default()
	c.Graph, c.Store, c.Registry, c.PublicURL, c.Logger = g.graph, g.store, all.Registry(g.analytics, g.webhooks, g.slack), g.PublicURL(), g.logger
	c.Client = egress.New(egress.Config{AllowPrivate: g.cfg.Egress.AllowPrivate, MaxAnswer: maxProviderAnswer})
	if g.connected, err = lifecycle.Open(ctx, c); err != nil {
		return err
	}
	g.onClose(func(context.Context) error { return g.connected.Close() })
	g.metricSources = append(g.metricSources, g.revenueMetrics)
	return nil
}

// inbound lets the collector ask the integrations.
type inbound struct{ of *lifecycle.Connections }

// Verify implements collector.Inbound.
func (i inbound) Verify(r *headlessly.Receipt) error {
	err := i.of.Verify(r)
	if errors.Is(err, connectors.ErrUnknown) || errors.Is(err, connectors.ErrNoSecret) {
		return collector.ErrUnknownIntegration
	}
	return err
}

// receipts hands what providers sent from the log to the connectors.
func (g *Gateway) receipts(ctx context.Context) error {
	done, err := g.log.Committed(ctx, readerConnectors)
	if err != nil {
		return err
	}
	finished, stop := g.commitBeside(ctx, readerConnectors)
	defer stop()
	for frame, err := range g.log.Read(ctx, done+1) {
		var gap *headlessly.GapError
		var corrupt *headlessly.CorruptError
		switch {
		case errors.As(err, &gap), errors.As(err, &corrupt): // the log has told of it
			continue
		case err != nil:
			return err
		}
		var all []headlessly.Receipt
		for i, rec := range frame.Records {
			if rec.Kind != headlessly.RecordReceipt {
				continue
			}
			var r headlessly.Receipt
			if r.UnmarshalBinary(rec.Data) == nil { // one of a later version is not for us
				r.LogSeq = headlessly.LogSeq(frame.Seq, i)
				all = append(all, r)
			}
		}
		if len(all) > 0 {
			if err := g.connected.Receive(ctx, all); err != nil {
				return err
			}
		}
		finished.Store(frame.Seq)
	}
	return ctx.Err()
}

// commitBeside commits a reader's place now and then, also while no frame
// comes: what holds back the log's trimming, or a person's deletion, must not
// wait for the next one. stop ends it after a last commit.
func (g *Gateway) commitBeside(ctx context.Context, reader string) (finished *atomic.Uint64, stop func()) {
	finished = new(atomic.Uint64)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(commitEvery)
		defer tick.Stop()
		noted := uint64(0)
		for more := true; more; {
			select {
			case <-ctx.Done():
				more = false
			case <-tick.C:
			}
			if seq := finished.Load(); seq > noted {
				err := g.log.Commit(context.WithoutCancel(ctx), reader, seq)
				if err != nil {
					g.logger.Warn("gateway.cursor_not_noted", "reader", reader, "error", err)
				} else {
					noted = seq
				}
			}
		}
	})
	return finished, func() {
		cancel()
		wg.Wait()
	}
}
