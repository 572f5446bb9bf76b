package gateway

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/connectors/outbox"
	"github.com/headlessly/headlessly/connectors/slack"
	"github.com/headlessly/headlessly/connectors/webhook"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/egress"
)

// lookupTimeout bounds the resolution of a webhook's host when it is connected.
const lookupTimeout = 5 * time.Second

// openOutbox makes what is delivered to endpoints outside, and the connectors
// that stand on it.
func (g *Gateway) openOutbox(ctx context.Context) (err error) {
	c := outbox.Default(g.graph, filepath.Join(g.cfg.Data, "outbox"))
	c.Logger = g.logger
	g.notes = forwarders.NewRecorder(g.log, g.logger, rand.Float64)
	c.Attempts = func(list []outbox.Attempt) { g.notes.Add(attemptsOf(list)) }
	if g.outbox, err = outbox.Open(ctx, c); err != nil {
		return err
	}
	g.onClose(func(context.Context) error { return g.outbox.Close() })
	g.webhooks, g.slack = webhook.New(g.outbox, g.checkURL), slack.New(g.outbox, g.checkURL)
	return nil
}

// runOutbox delivers until ctx ends, and has every attempt in the log then.
func (g *Gateway) runOutbox(ctx context.Context) {
	stop := make(chan struct{})
	var noted sync.WaitGroup
	noted.Go(func() { g.notes.Run(context.WithoutCancel(ctx), stop) })
	g.keep(ctx, "outbox", g.outbox.Run)
	close(stop)
	noted.Wait()
}

// attemptsOf are rows of the deliveries table.
func attemptsOf(list []outbox.Attempt) []forwarders.Attempt {
	out := make([]forwarders.Attempt, 0, len(list))
	for _, a := range list {
		f := forwarders.Attempt{
			At: a.At, Took: a.Took, Tenant: a.Tenant, Destination: a.Provider, Integration: a.Endpoint, MessageID: a.Event, Event: a.Name,
			LogSeq: int64(a.Seq), Try: a.Number, Status: a.Status, Note: a.Note, Replay: a.Replay,
		}
		switch a.State {
		case outbox.Delivered:
			f.Outcome = forwarders.OutcomeDelivered
		case outbox.Parked:
			f.Outcome = forwarders.OutcomeDead
		default:
			f.Outcome = forwarders.OutcomeRetry
		}
		if a.Status == 0 { // nobody answered: the note is the fault
			f.Note, f.Error = "", a.Note
		}
		out = append(out, f)
	}
	return out
}

// webhookRoutes is what the control plane needs of them.
func (g *Gateway) webhookRoutes() *control.Webhooks {
	return &control.Webhooks{Box: g.outbox, Webhook: g.webhooks, Slack: g.slack, Inbound: func(tenant, id string) string {
		return g.PublicURL() + "/~" + tenant + "/in/" + webhook.Provider + "/" + id
	}}
}

// checkURL refuses a URL that could not be dialled: by its form, or by what its
// host resolves to. Each dial checks the address again.
func (g *Gateway) checkURL(ctx context.Context, raw string) error {
	if err := egress.Check(ctx, raw, g.cfg.Egress.AllowPrivate); err != nil {
		return err
	}
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("is no URL")
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil || len(addrs) == 0 {
		return fmt.Errorf("the host %s cannot be resolved", u.Hostname())
	}
	for _, a := range addrs {
		at := url.URL{Scheme: u.Scheme, Host: net.JoinHostPort(a.Unmap().String(), "443")}
		if err := egress.Check(ctx, at.String(), g.cfg.Egress.AllowPrivate); err != nil {
			return fmt.Errorf("the host %s resolves to an address that is not on the public internet: %w", u.Hostname(), err)
		}
	}
	return nil
}
