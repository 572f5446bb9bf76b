package control

import (
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/revenue"
)

// metrics answers the financial metrics: all of them, or one by its name.
func (p *Plane) metrics(c call, name string) {
	q, err := metricsQuery(c.r, p.cfg.Clock())
	if err != nil {
		p.fail(c, err)
		return
	}
	sc, err := p.cfg.Graph.Scope(c.tenant, c.key.ID)
	if err != nil {
		p.fail(c, err)
		return
	}
	report, err := revenue.At(c.r.Context(), sc, q)
	if err != nil {
		p.fail(c, err)
		return
	}
	if name == "" {
		writeJSON(c.w, http.StatusOK, report)
		return
	}
	p.oneMetric(c, report, name)
}

// oneMetric answers one metric, by currency.
func (p *Plane) oneMetric(c call, report *revenue.Report, name string) {
	out := map[string]any{}
	known := map[string]bool{"movements": true}
	for _, f := range []string{"mrr", "arr", "arpu", "ltv", "activeSubscriptions", "activeCustomers", "churnRate", "revenueChurnRate", "nrr"} {
		known[f] = true
	}
	field := camel(name)
	if !known[field] {
		p.fail(c, &graph.Error{Code: graph.CodeNotFound, Field: "metric", Message: "there is no metric " + name + "; known are " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")})
		return
	}
	for currency, m := range report.Currencies {
		raw, err := json.Marshal(m)
		var all map[string]json.RawMessage
		if err == nil {
			err = json.Unmarshal(raw, &all)
		}
		if err != nil {
			p.fail(c, err)
			return
		}
		out[currency] = all[field]
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"metric": field, "at": report.At, "from": report.From, "currencies": out})
}

// camel turns churn_rate into churnRate: both spellings are taken.
func camel(name string) string {
	parts := strings.Split(name, "_")
	for i, s := range parts {
		if i > 0 && s != "" {
			parts[i] = strings.ToUpper(s[:1]) + s[1:]
		}
	}
	return strings.Join(parts, "")
}

// metricsQuery reads at, from, integration, mode and grossMargin.
func metricsQuery(r *http.Request, now time.Time) (q revenue.Query, err error) {
	v := r.URL.Query()
	for name := range v {
		switch name {
		case "at", "asOf", "from", "integration", "mode", "grossMargin":
		default:
			return q, &graph.Error{Code: graph.CodeValidation, Field: name, Message: name + ": is not known here; known are at, from, integration, mode, grossMargin"}
		}
	}
	instant := func(name string) (t time.Time) {
		if s := v.Get(name); s != "" && err == nil {
			for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
				if t, e := time.Parse(layout, s); e == nil {
					return t
				}
			}
			err = &graph.Error{Code: graph.CodeValidation, Field: name, Message: name + ": must be a time such as 2025-09-15T14:32:00Z, or a date"}
		}
		return t
	}
	q.At = instant("at")
	if q.At.IsZero() {
		q.At = instant("asOf")
	}
	if q.At.IsZero() {
		q.At = now
	}
	q.From = instant("from")
	if err != nil {
		return q, err
	}
	if q.From.After(q.At) {
		return q, &graph.Error{Code: graph.CodeValidation, Field: "from", Message: "from: must be before at"}
	}
	q.Integration, q.Test = v.Get("integration"), v.Get("mode") == "test"
	if s := v.Get("grossMargin"); s != "" {
		margin, ok := new(big.Rat).SetString(s)
		if !ok || margin.Sign() <= 0 || margin.Cmp(big.NewRat(1, 1)) > 0 {
			return q, &graph.Error{Code: graph.CodeValidation, Field: "grossMargin", Message: "grossMargin: must be more than 0 and at most 1, such as 0.8"}
		}
		q.GrossMargin = margin
	}
	return q, nil
}
