package collector

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"
)

// counters are the collector's own metrics. Reasons are a fixed set of codes,
// so the number of series is bounded; no tenant appears in a label.
type counters struct {
	set             *metrics.Set
	requests        *metrics.Counter
	accepted        *metrics.Counter
	repeated        *metrics.Counter
	rejectedKept    *metrics.Counter
	rejectedNotKept *metrics.Counter
	badSentAt       *metrics.Counter
	connErrors      *metrics.Counter
	panics          *metrics.Counter
	receipts        *metrics.Counter
	badSignatures   *metrics.Counter
	tunnelled       *metrics.Counter
	tunnelFailed    *metrics.Counter
	seconds         *metrics.Histogram
	tenants         atomic.Int64 // with a series of their own
	refusals        sync.Map     // by reason: *metrics.Counter
}

func newCounters(d *door, p *pace) *counters {
	s := metrics.NewSet()
	s.NewGauge("headlessly_requests_under_way", func() float64 { return float64(d.slots.Load()) })
	s.NewGauge("headlessly_body_memory_bytes", func() float64 { return float64(d.bytes.Load()) })
	s.NewGauge("headlessly_estimated_wait_seconds", func() float64 { return d.crowd.estimate().Seconds() })
	s.NewGauge("headlessly_refusals_held_back", func() float64 { return float64(p.held.Load()) })
	return &counters{
		set:             s,
		requests:        s.NewCounter("headlessly_ingest_requests_total"),
		accepted:        s.NewCounter("headlessly_events_accepted_total"),
		repeated:        s.NewCounter("headlessly_events_duplicate_total"),
		rejectedKept:    s.NewCounter("headlessly_rejected_kept_total"),
		rejectedNotKept: s.NewCounter("headlessly_rejected_not_kept_total"),
		badSentAt:       s.NewCounter("headlessly_sent_at_invalid_total"),
		connErrors:      s.NewCounter("headlessly_connection_errors_total"),
		panics:          s.NewCounter("headlessly_panics_total"),
		receipts:        s.NewCounter("headlessly_receipts_total"),
		badSignatures:   s.NewCounter("headlessly_receipts_unverified_total"),
		tunnelled:       s.NewCounter("headlessly_tunnel_requests_total"),
		tunnelFailed:    s.NewCounter("headlessly_tunnel_failures_total"),
		seconds:         s.NewHistogram("headlessly_ingest_seconds"),
	}
}

// maxTenantSeries bounds the tenants with a series of their own; the rest share
// one, named "…".
const maxTenantSeries = 1_000

// tenantCounters are the counters that one tenant's events go to besides the
// sum.
type tenantCounters struct {
	class    string
	byClass  *metrics.Counter // nil without a class
	byTenant *metrics.Counter // nil unless asked for
}

// count counts events that became durable, and ones that were so already.
func (c *Collector) count(s *tenantState, tenant string, p *Policy, accepted, repeated int) {
	c.metrics.accepted.Add(accepted)
	c.metrics.repeated.Add(repeated)
	t := s.counters.Load()
	if t == nil || t.class != p.Class {
		t = c.tenantCounters(t, tenant, p.Class)
		s.counters.Store(t)
	}
	if t.byClass != nil {
		t.byClass.Add(accepted)
	}
	if t.byTenant != nil {
		t.byTenant.Add(accepted)
	}
}

func (c *Collector) tenantCounters(former *tenantCounters, tenant, class string) *tenantCounters {
	t := &tenantCounters{class: class}
	if class != "" {
		t.byClass = c.metrics.set.GetOrCreateCounter(fmt.Sprintf(`headlessly_class_events_accepted_total{class=%q}`, class))
	}
	switch {
	case former != nil:
		t.byTenant = former.byTenant
	case c.cfg.TenantMetrics:
		if c.metrics.tenants.Add(1) > maxTenantSeries {
			tenant = "…"
		}
		t.byTenant = c.metrics.set.GetOrCreateCounter(fmt.Sprintf(`headlessly_tenant_events_accepted_total{tenant=%q}`, tenant))
	}
	return t
}

// refused counts a request that was refused as a whole.
func (m *counters) refused(code string) {
	n, ok := m.refusals.Load(code)
	if !ok {
		n, _ = m.refusals.LoadOrStore(code, m.set.GetOrCreateCounter(fmt.Sprintf(`headlessly_requests_refused_total{reason=%q}`, code)))
	}
	n.(*metrics.Counter).Inc() //nolint:forcetypeassert // nothing else is stored
}

// rejected counts an event that was refused.
func (m *counters) rejected(code string) {
	m.set.GetOrCreateCounter(fmt.Sprintf(`headlessly_events_rejected_total{reason=%q}`, code)).Inc()
}

// WriteMetrics writes the collector's metrics in Prometheus' text format.
func (c *Collector) WriteMetrics(w io.Writer) {
	c.metrics.set.WritePrometheus(w)
	if c.cfg.Dedupe != nil {
		c.cfg.Dedupe.WriteMetrics(w)
	}
}
