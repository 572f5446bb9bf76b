package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/store"
)

// Verify judges an inbound request by its raw bytes, from memory. The error is
// [connectors.ErrUnknown] or [connectors.ErrNoSecret] when the integration
// cannot take any.
func (c *Connections) Verify(r *headlessly.Receipt) error {
	n := c.find(r.Integration)
	if n == nil || n.link.Tenant != r.Tenant || n.kind.Provider != r.Provider {
		return connectors.ErrUnknown
	}
	in, ok := n.conn.(connectors.Receiver)
	if !ok {
		return connectors.ErrUnknown
	}
	return in.Verify(n.link, r)
}

// Receive maps verified receipts. When it returns nil, each is mapped or stored
// to be tried again; after an error all of them can be given again. Receipts of
// one integration are mapped in order, those of several at the same time.
func (c *Connections) Receive(ctx context.Context, receipts []headlessly.Receipt) error {
	var order []string
	of := map[string][]store.Waiting{}
	for i := range receipts {
		id := receipts[i].Integration
		if of[id] == nil {
			order = append(order, id)
		}
		of[id] = append(of[id], store.Waiting{Receipt: receipts[i], Since: c.cfg.Clock().UnixMicro()})
	}
	var all sync.WaitGroup
	errs := make([]error, len(order))
	slots := make(chan struct{}, syncsAtOnce)
	for i, id := range order {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			errs[i] = c.receive(connectors.Own(ctx), id, of[id])
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// receive maps receipts of one integration; those that cannot be now are
// stored.
func (c *Connections) receive(ctx context.Context, id string, in []store.Waiting) error {
	n := c.find(id)
	if n == nil {
		return c.leave(ctx, in, nil) // it was disconnected meanwhile
	}
	r, ok := n.conn.(connectors.Receiver)
	if !ok {
		return c.leave(ctx, in, nil)
	}
	asking, cancel := context.WithTimeout(ctx, c.cfg.Budget)
	defer cancel()
	errs := make([]error, len(in))
	ids := make([]string, len(in))
	var changes []connectors.Change
	var of []int
	for i := range in {
		d, err := r.Read(asking, n.link, &in[i].Receipt)
		if errs[i] = err; err != nil {
			continue
		}
		if ids[i] = d.ID; d.ID != "" {
			ids[i] = "delivery:" + d.ID
		}
		for _, ch := range d.Changes {
			changes, of = append(changes, ch), append(of, i)
		}
	}
	seen, err := c.cfg.Store.Seen(ctx, id, ids...)
	if err != nil {
		return err
	}
	fresh := map[string]bool{}
	skip := make([]bool, len(in))
	for i := range in {
		skip[i] = ids[i] != "" && (seen[ids[i]] || fresh[ids[i]])
		fresh[ids[i]] = true
	}
	var todo []connectors.Change
	var todoOf []int
	for k := range changes {
		if !skip[of[k]] {
			todo, todoOf = append(todo, changes[k]), append(todoOf, of[k])
		}
	}
	applied, err := c.apply(asking, n.link, todo)
	if err != nil && asking.Err() == nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	for k, e := range applied {
		if e == nil && err != nil {
			e = err
		}
		if e != nil {
			errs[todoOf[k]] = e
		}
	}
	var done []string
	for i := range in {
		if errs[i] == nil && ids[i] != "" && !skip[i] {
			done = append(done, ids[i])
		}
	}
	if err := c.cfg.Store.NoteSeen(ctx, id, done...); err != nil {
		return err
	}
	return c.leave(ctx, in, errs)
}

// leave ends what was done with receipts: those that failed are kept for later,
// the others are let go.
func (c *Connections) leave(ctx context.Context, in []store.Waiting, errs []error) error {
	var keep []store.Waiting
	var drop []int64
	now := c.cfg.Clock()
	for i := range in {
		w := in[i]
		var err error
		if errs != nil {
			err = errs[i]
		}
		age := now.Sub(headlessly.Time(w.Since))
		switch {
		case err == nil:
			drop = append(drop, w.N)
		case lasting(err) || age > c.cfg.WaitFor || isFault(err):
			c.cfg.Logger.Error("integration.receipt_dropped", slog.String("integration", w.Receipt.Integration), slog.Int64("received_at", w.Receipt.ReceivedAt), slog.Any("error", err))
			drop = append(drop, w.N)
		default:
			w.Attempts++
			pause := min(c.cfg.RetryBase<<min(w.Attempts-1, 16), time.Hour)
			w.NotUntil, w.Error = now.Add(max(pause, pauseOf(err))).UnixMicro(), err.Error()
			keep = append(keep, w)
		}
	}
	if err := c.cfg.Store.KeepWaiting(ctx, keep...); err != nil {
		return err
	}
	drop = positive(drop)
	if len(drop) == 0 {
		return nil
	}
	return c.cfg.Store.DropWaiting(ctx, drop...)
}

func positive(ns []int64) []int64 {
	var out []int64
	for _, n := range ns {
		if n > 0 {
			out = append(out, n)
		}
	}
	return out
}

// isFault says whether a receipt cannot be mapped whatever happens.
func isFault(err error) bool {
	var f *headlessly.FieldError
	return errors.As(err, &f) || faultCode(err)
}

// waitingAtOnce is how many receipts that wait are tried together.
const waitingAtOnce = 200

// retryWaiting tries receipts whose time has come.
func (c *Connections) retryWaiting(ctx context.Context) {
	tidied := c.cfg.Clock()
	for ctx.Err() == nil {
		if err := c.retryDue(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Logger.Warn("integration.receipts", slog.Any("error", err))
		}
		if now := c.cfg.Clock(); now.Sub(tidied) > time.Hour {
			tidied = now
			if err := c.cfg.Store.ForgetSeen(ctx, connectors.DedupeFor); err != nil && ctx.Err() == nil {
				c.cfg.Logger.Warn("integration.seen", slog.Any("error", err))
			}
		}
		_ = c.cfg.Sleep(ctx, c.cfg.Scan) // the loop looks at ctx
	}
}

func (c *Connections) retryDue(ctx context.Context) error {
	due, err := c.cfg.Store.DueWaiting(ctx, waitingAtOnce)
	if err != nil {
		return fmt.Errorf("receipts that wait: %w", err)
	}
	of := map[string][]store.Waiting{}
	for _, w := range due {
		of[w.Receipt.Integration] = append(of[w.Receipt.Integration], w)
	}
	for id, in := range of {
		if err := c.receive(connectors.Own(ctx), id, in); err != nil {
			return err
		}
	}
	return nil
}
