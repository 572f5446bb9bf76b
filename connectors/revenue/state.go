package revenue

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
)

func bytesReader(b []byte) io.Reader { return bytes.NewReader(b) }

// moment is what a tenant's subscriptions brought at one instant.
type moment struct {
	at time.Time
	// money is mrr by currency and customer, of those that pay.
	money map[string]map[string]*big.Rat
	// subscriptions counts those that count, by currency.
	subscriptions map[string]int64
	// earlier are customers, by currency, who had paid by then at some time.
	earlier map[string]map[string]bool
}

// book is what does not depend on the instant.
type book struct {
	prices    map[string]fields // by the provider's id and by ours
	customers map[string][]off  // discounts, by the customer's id
	ends      map[string]time.Time
}

// each yields the entities of a type as of a moment.
func each(ctx context.Context, sc *graph.Scope, asOf graph.AsOf, typ string, f func(id string, m fields) error) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(sc.Export(ctx, w, asOf, typ)) }()
	defer r.Close() //nolint:errcheck // the writer's error counts
	lines := bufio.NewReader(r)
	dec := json.NewDecoder(lines)
	dec.UseNumber()
	for {
		var m fields
		if err := dec.Decode(&m); err == io.EOF { //nolint:errorlint // as Decode gives it
			return nil
		} else if err != nil {
			return fmt.Errorf("read %s: %w", typ, err)
		}
		if err := f(str(m, "$id"), m); err != nil {
			return err
		}
	}
}

func openBook(ctx context.Context, sc *graph.Scope) (*book, error) {
	b := &book{prices: map[string]fields{}, customers: map[string][]off{}, ends: map[string]time.Time{}}
	if err := each(ctx, sc, graph.AsOf{}, "Price", func(id string, m fields) error {
		b.prices[id] = m
		if at := str(m, "stripePriceId"); at != "" {
			b.prices[at] = m
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if err := each(ctx, sc, graph.AsOf{}, "Customer", func(id string, m fields) error {
		if d, ok := m["discount"].(map[string]any); ok {
			b.customers[id] = []off{readOff(d)}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return b, each(ctx, sc, graph.AsOf{}, "Subscription", func(id string, m fields) error {
		if end := when(m, "endedAt"); !end.IsZero() {
			b.ends[id] = end
		}
		return nil
	})
}

// created is how many events are read at once.
const createdPage = graph.MaxEvents

// stateAt is every subscription at an instant: as the graph had it then, or as
// it first knew it.
func stateAt(ctx context.Context, sc *graph.Scope, at time.Time, f func(id string, m fields)) error {
	seen := map[string]bool{}
	if err := each(ctx, sc, graph.AsOf{Time: at}, "Subscription", func(id string, m fields) error {
		seen[id] = true
		f(id, m)
		return nil
	}); err != nil {
		return err
	}
	q := graph.EventQuery{Type: "Subscription.Created", After: graph.AsOf{Time: at}, Forward: true, Limit: createdPage}
	for {
		page, err := sc.Events(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range page {
			if seen[e.Target] {
				continue
			}
			seen[e.Target] = true
			m, err := decodeFields(e.Data)
			if err != nil {
				return fmt.Errorf("read event %s: %w", e.ID, err)
			}
			if known := backdated(m, at); known {
				f(e.Target, m)
			}
		}
		if len(page) < createdPage {
			return nil
		}
		q.After = graph.AsOf{Seq: page[len(page)-1].Seq}
	}
}

// backdated turns the first state that is known of a subscription into the one
// that it had at an earlier instant; false when it was not there.
func backdated(m fields, at time.Time) bool {
	if start := when(m, "startedAt"); start.IsZero() || start.After(at) {
		return false
	}
	end := when(m, "endedAt")
	if str(m, "status") == "Cancelled" && end.After(at) && str(m, "cancelReason") != "incomplete_expired" {
		m["status"] = "Active" // until it ended
	}
	if trial := when(m, "trialEnd"); trial.After(at) {
		m["status"] = "Trialing"
	} else if str(m, "status") == "Trialing" {
		m["status"] = "Active"
	}
	return true
}

// take adds up a tenant's subscriptions at an instant.
func take(ctx context.Context, sc *graph.Scope, b *book, q *Query, at time.Time) (*moment, error) {
	m := &moment{at: at, money: map[string]map[string]*big.Rat{}, subscriptions: map[string]int64{}, earlier: map[string]map[string]bool{}}
	err := stateAt(ctx, sc, at, func(id string, f fields) {
		s := read(id, f, b.prices)
		if end, ok := b.ends[id]; ok && s.ended.IsZero() {
			s.ended = end // learned later
		}
		m.add(&s, b, q)
	})
	return m, err
}

func (m *moment) add(s *subscription, b *book, q *Query) {
	if s.live == q.Test || q.Integration != "" && s.integration != q.Integration {
		return
	}
	if !s.started.IsZero() && s.started.Before(m.at) && s.status != "Incomplete" {
		if m.earlier[s.currency] == nil {
			m.earlier[s.currency] = map[string]bool{}
		}
		m.earlier[s.currency][s.customer] = true
	}
	if !s.paying(m.at) {
		return
	}
	m.subscriptions[s.currency]++
	if m.money[s.currency] == nil {
		m.money[s.currency] = map[string]*big.Rat{}
	}
	sum := m.money[s.currency][s.customer]
	if sum == nil {
		sum = new(big.Rat)
		m.money[s.currency][s.customer] = sum
	}
	sum.Add(sum, s.mrr(m.at, b.prices, b.customers[s.customer]))
}
