package telemetry

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/headlessly/headlessly"
)

// producer turns Prometheus' text format into OTLP's data.
type producer struct {
	write func(io.Writer)
	clock headlessly.Clock
	start time.Time
}

// Produce implements metric.Producer.
func (p *producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	var text bytes.Buffer
	p.write(&text)
	now := p.clock()
	order, series := []string{}, map[string][]metricdata.DataPoint[float64]{}
	for line := range strings.Lines(text.String()) {
		name, attrs, value, ok := sample(line)
		if !ok {
			continue
		}
		if _, known := series[name]; !known {
			order = append(order, name)
		}
		series[name] = append(series[name], metricdata.DataPoint[float64]{Attributes: attrs, StartTime: p.start, Time: now, Value: value})
	}
	out := metricdata.ScopeMetrics{Scope: instrumentation.Scope{Name: scope}}
	for _, name := range order {
		m := metricdata.Metrics{Name: name, Data: metricdata.Gauge[float64]{DataPoints: series[name]}}
		if counts(name) {
			m.Data = metricdata.Sum[float64]{DataPoints: series[name], Temporality: metricdata.CumulativeTemporality, IsMonotonic: true}
		}
		out.Metrics = append(out.Metrics, m)
	}
	return []metricdata.ScopeMetrics{out}, nil
}

// counts says whether a metric only grows, by the ending that its name has
// then by convention.
func counts(name string) bool {
	for _, end := range []string{"_total", "_count", "_sum", "_bucket"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// sample reads one line: name{label="value",…} value.
func sample(line string) (name string, attrs attribute.Set, value float64, ok bool) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", attrs, 0, false
	}
	end := strings.IndexAny(line, "{ ")
	if end < 0 {
		return "", attrs, 0, false
	}
	name, rest := line[:end], line[end:]
	var labels []attribute.KeyValue
	if rest[0] == '{' {
		if labels, rest, ok = readLabels(rest[1:]); !ok {
			return "", attrs, 0, false
		}
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
	return name, attribute.NewSet(labels...), value, err == nil
}

func readLabels(s string) (labels []attribute.KeyValue, rest string, ok bool) {
	for {
		if rest, ok := strings.CutPrefix(s, "}"); ok {
			return labels, rest, true
		}
		key, after, found := strings.Cut(s, "=")
		if !found {
			return nil, "", false
		}
		quoted, err := strconv.QuotedPrefix(after)
		if err != nil {
			return nil, "", false
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, "", false
		}
		labels = append(labels, attribute.String(key, value))
		s = strings.TrimPrefix(after[len(quoted):], ",")
	}
}
