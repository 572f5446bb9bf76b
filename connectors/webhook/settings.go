package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/outbox"
)

// Bounds of an endpoint's settings.
const (
	maxEvents    = 100
	maxBatch     = 500
	maxHeaders   = 30
	maxHeader    = 4 << 10
	maxTimeout   = 30 * time.Second
	maxBatchWait = 5 * time.Minute
	maxPerSecond = 10_000
	minSecret    = 16
)

func fault(field, format string, args ...any) error {
	return &headlessly.FieldError{Code: "validation_failed", Field: field, Message: fmt.Sprintf(format, args...)}
}

// number reads a number field; missing is 0.
func number(l *connectors.Link, field string, most float64) (float64, error) {
	v, ok := l.Fields[field]
	if !ok || v == nil {
		return 0, nil
	}
	n, err := json.Number(fmt.Sprint(v)).Float64()
	if err != nil || math.IsNaN(n) || n < 0 || n > most {
		return 0, fault(field, "want a number from 0 to %v", most)
	}
	return n, nil
}

// patterns checks the events that an endpoint wants.
func patterns(l *connectors.Link) ([]string, error) {
	list := l.List("events")
	if len(list) == 0 {
		return nil, fault("events", `is missing: name the events, such as ["Deal.Closed", "Ticket.*", "*.Created"], or ["*"] for all`)
	}
	if len(list) > maxEvents {
		return nil, fault("events", "holds %d patterns, at most %d go", len(list), maxEvents)
	}
	for i, p := range list {
		typ, event, ok := strings.Cut(p, ".")
		if p != "*" && (!ok || !word(typ) || !word(event)) {
			return nil, fault(fmt.Sprintf("events[%d]", i), "%q is no pattern; write Deal.Closed, Deal.*, *.Created or *", p)
		}
	}
	return list, nil
}

func word(s string) bool {
	if s == "*" {
		return true
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// endpoint reads an integration's settings.
func endpoint(l *connectors.Link) (outbox.Endpoint, *sender, error) {
	e := outbox.Endpoint{Tenant: l.Tenant, ID: l.ID, Provider: Provider}
	var errs []error
	read := func(field string, most float64) float64 {
		n, err := number(l, field, most)
		errs = append(errs, err)
		return n
	}
	var err error
	e.Events, err = patterns(l)
	errs = append(errs, err)
	e.Ordered, _ = l.Fields["ordered"].(bool)
	e.Batch = int(read("batch", maxBatch))
	e.BatchWait = seconds(read("batchWait", maxBatchWait.Seconds()))
	e.PerSecond = read("perSecond", maxPerSecond)
	e.Timeout = seconds(read("timeout", maxTimeout.Seconds()))
	if v, set := l.Fields["ordered"]; set && v != nil {
		if _, ok := v.(bool); !ok {
			errs = append(errs, fault("ordered", "want true or false"))
		}
	}
	if e.Batch > 1 && e.BatchWait == 0 {
		e.BatchWait = time.Second
	}
	headers, err := headersOf(l.Secrets["headers"])
	errs = append(errs, err)
	s := &sender{
		url: l.Text("url"), secret: l.Secrets["secret"], previous: l.Secrets["previousSecret"], headers: headers, batch: e.Batch > 1,
		client: l.Client, clock: l.Clock,
	}
	if at, err := time.Parse(time.RFC3339, l.ConfigText("previousSecretUntil")); err == nil {
		s.previousUntil = at
	}
	e.Sender = s
	return e, s, errors.Join(errs...)
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// headersOf reads the further headers: an object of strings.
func headersOf(raw headlessly.Secret) (map[string]string, error) {
	if !raw.Set() {
		return nil, nil
	}
	var out map[string]string
	if err := json.Unmarshal([]byte(raw.Reveal()), &out); err != nil {
		return nil, fault("headers", `want an object of strings, such as {"X-Team":"billing"}`)
	}
	if len(out) > maxHeaders {
		return nil, fault("headers", "holds %d headers, at most %d go", len(out), maxHeaders)
	}
	for name, value := range out {
		switch key := http.CanonicalHeaderKey(name); {
		case !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) || len(value) > maxHeader:
			return nil, fault("headers", "a header's name or value cannot be sent (names are letters, digits and hyphens; values one line of up to %d bytes)", maxHeader)
		case strings.HasPrefix(key, "Webhook-"), key == "X-Headlessly-Signature", key == "Host", key == "Content-Length", key == "Content-Type",
			key == "Transfer-Encoding", key == "Connection", key == "User-Agent", key == "Trailer", key == "Te", key == "Upgrade":
			return nil, fault("headers", "%s is set by headlessly", key)
		}
	}
	return out, nil
}
