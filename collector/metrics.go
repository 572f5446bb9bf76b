package collector

import (
	"fmt"
	"io"

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
	seconds         *metrics.Histogram
}

func newCounters() *counters {
	s := metrics.NewSet()
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
		seconds:         s.NewHistogram("headlessly_ingest_seconds"),
	}
}

// refused counts a request that was refused as a whole.
func (m *counters) refused(code string) {
	m.set.GetOrCreateCounter(fmt.Sprintf(`headlessly_requests_refused_total{reason=%q}`, code)).Inc()
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
