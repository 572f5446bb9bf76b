package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
)

// Source gives the metrics of a tenant by name. It must not block for long and
// is safe for concurrent use.
type Source func(ctx context.Context, tenant string) (map[string]float64, error)

// Watch checks the alerts of every tenant. Safe for concurrent use.
type Watch struct {
	graph   *graph.Store
	sources []Source
	clock   headlessly.Clock
	logger  *slog.Logger
}

// New makes a watch over these sources. A later one wins where two know a
// metric of the same name, and both win over an entity of type Metric.
func New(g *graph.Store, clock headlessly.Clock, logger *slog.Logger, sources ...Source) *Watch {
	return &Watch{graph: g, sources: sources, clock: clock, logger: logger}
}

// The names of the type, its statuses and its events.
const (
	Type          = "Alert"
	StatusOK      = "Ok"
	StatusFiring  = "Firing"
	StatusUnknown = "Unknown"
	triggered     = "Triggered"
	cleared       = "Cleared"
	below         = "Below"
)

// every is how often alerts are checked.
const every = 30 * time.Second

// Alert is an alert as it stands.
type Alert struct {
	ID        string   `json:"$id"`
	Name      string   `json:"name"`
	Metric    string   `json:"metric"`
	Threshold float64  `json:"threshold"`
	Direction string   `json:"direction"`
	Status    string   `json:"status"`
	Value     *float64 `json:"value,omitempty"`
	Since     string   `json:"since,omitempty"`
}

// Run checks the alerts of these tenants until ctx ends.
func (w *Watch) Run(ctx context.Context, tenants func() []string) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		for _, t := range tenants() {
			if _, err := w.Check(ctx, t); err != nil && ctx.Err() == nil {
				w.logger.Warn("alerts.check", slog.Any("error", err))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Metrics gives what the sources know of a tenant.
func (w *Watch) Metrics(ctx context.Context, tenant string) (map[string]float64, error) {
	out := map[string]float64{}
	var errs []error
	for _, s := range w.sources {
		m, err := s(ctx, tenant)
		errs = append(errs, err)
		maps.Copy(out, m)
	}
	return out, errors.Join(errs...)
}

// Check compares a tenant's alerts with its metrics and records what has
// changed.
func (w *Watch) Check(ctx context.Context, tenant string) ([]Alert, error) {
	scope, err := w.graph.Scope(tenant, "alerts")
	if err != nil {
		return nil, err
	}
	out, errs := []Alert{}, []error{}
	var metrics map[string]float64
	q := graph.Query{Type: Type, Sort: []string{"name"}, Limit: graph.MaxLimit, NoTotal: true}
	for more := true; more; {
		page, err := scope.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		if metrics == nil && len(page.Results) > 0 {
			if metrics, err = w.Metrics(ctx, tenant); err != nil {
				errs = append(errs, err) // what is known is compared nevertheless
			}
		}
		for _, e := range page.Results {
			a, err := w.one(ctx, scope, e, metrics)
			out, errs = append(out, a), append(errs, err)
		}
		q.Cursor, more = page.Cursor, page.HasMore
	}
	return out, errors.Join(errs...)
}

func number(n json.Number) float64 {
	f, _ := n.Float64() // the type admits numbers only
	return f
}

func (w *Watch) one(ctx context.Context, scope *graph.Scope, e *graph.Entity, metrics map[string]float64) (Alert, error) {
	a := Alert{ID: e.ID, Name: e.Text("name"), Metric: e.Text("metric"), Threshold: number(e.Number("threshold")), Direction: e.Text("direction"), Status: e.Text("status"), Since: e.Text("since")}
	value, ok := metrics[a.Metric]
	if !ok {
		var err error
		if value, ok, err = entityValue(ctx, scope, a.Metric); err != nil {
			return a, err
		}
	}
	if !ok {
		a.Status = StatusUnknown
		return a, nil
	}
	a.Value = &value
	want, event := StatusOK, cleared
	if a.Direction == below && value < a.Threshold || a.Direction != below && value > a.Threshold {
		want, event = StatusFiring, triggered
	}
	was := a.Status
	if a.Status = want; was == want {
		return a, nil
	}
	a.Since = graph.FormatTime(w.clock().UnixMicro())
	fields := map[string]any{"status": want, "value": value, "since": a.Since}
	op := graph.Op{Type: Type, ID: e.ID, Event: event, Args: fields, IfVersion: e.Version}
	if was == StatusUnknown && want == StatusOK { // nothing has ended: it was never looked at
		op.Event, op.Verb = "", graph.VerbUpdate
	}
	switch _, err := scope.Do(ctx, op); graph.CodeOf(err) {
	case "", graph.CodeVersionMismatch, graph.CodeNotFound: // another gateway was faster, or it is gone
		return a, nil
	default:
		return a, err
	}
}

// entityValue is the value of the newest Metric of a name.
func entityValue(ctx context.Context, scope *graph.Scope, name string) (value float64, ok bool, err error) {
	page, err := scope.Find(ctx, graph.Query{Type: "Metric", Filter: map[string]any{"name": name}, Sort: []string{"-$updatedAt"}, Limit: 1, NoTotal: true})
	if err != nil || len(page.Results) == 0 {
		return 0, false, err
	}
	n := page.Results[0].Number("value")
	return number(n), n != "", nil
}
