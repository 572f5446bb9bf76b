package control

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/replays"
)

// Forwarding says what became of events at their destinations, and sends them
// again.
type Forwarding interface {
	// Deliveries gives attempts, newest first.
	Deliveries(ctx context.Context, tenant string, f DeliveryFilter) ([]forwarders.Attempt, error)
	// Trace says where an event went; ErrNoEvent when there is none.
	Trace(ctx context.Context, tenant, messageID string) (forwarders.Trace, error)
	// Replay starts a job. A request without a source gets one.
	Replay(ctx context.Context, r replays.Request) (replays.Job, error)
	// Replays are the jobs.
	Replays() *replays.Jobs
}

// ErrNoEvent means that a tenant has no event of an id.
var ErrNoEvent = errors.New("no such event")

// DeliveryFilter chooses attempts; what is empty does not restrict.
type DeliveryFilter struct {
	Destination, Integration, Outcome, MessageID string
	Since, Until                                 time.Time
	Limit                                        int
}

const (
	defaultDeliveries = 100
	maxDeliveries     = 10_000
)

func (p *Plane) deliveries(c call) {
	q := c.r.URL.Query()
	f := DeliveryFilter{Destination: q.Get("destination"), Integration: q.Get("integration"), Outcome: q.Get("outcome"), MessageID: q.Get("messageId"), Limit: defaultDeliveries}
	var errs []error
	for name, dst := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if err := instant(dst, name, q.Get(name), p.cfg.Clock()); err != nil {
			errs = append(errs, err)
		}
	}
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxDeliveries {
			errs = append(errs, &headlessly.FieldError{Code: "validation_failed", Field: "limit", Message: "must be a number from 1 to 10000"})
		}
		f.Limit = n
	}
	if err := errors.Join(errs...); err != nil {
		p.fail(c, err)
		return
	}
	list, err := p.cfg.Forwarding.Deliveries(c.r.Context(), c.tenant, f)
	if err != nil {
		p.failForwarding(c, err)
		return
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"results": list, "hasMore": len(list) == f.Limit})
}

// instant reads RFC 3339, a date, or a span such as 36h or 7d before now.
func instant(dst *time.Time, field, text string, now time.Time) error {
	t, err := Instant(text, now)
	if err != nil {
		return &headlessly.FieldError{Code: "validation_failed", Field: field, Message: err.Error()}
	}
	*dst = t
	return nil
}

// Instant reads a time as a person writes it: RFC 3339, a date (its start, UTC)
// or a span before now (90m, 36h, 7d). "" is the zero time.
func Instant(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if n := len(text) - 1; text[n] == 'd' {
		if days, err := strconv.ParseFloat(text[:n], 64); err == nil && days >= 0 && days < 36500 {
			return now.Add(-time.Duration(days * float64(24*time.Hour))), nil
		}
	}
	if span, err := time.ParseDuration(text); err == nil && span >= 0 {
		return now.Add(-span), nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("must be a time (2026-11-26T10:00:00Z), a date (2026-11-26) or a span before now (90m, 36h, 7d)")
}

func (p *Plane) trace(c call, id string) {
	t, err := p.cfg.Forwarding.Trace(c.r.Context(), c.tenant, id)
	if err != nil {
		p.failForwarding(c, err)
		return
	}
	writeJSON(c.w, http.StatusOK, t)
}

// startReplay takes {destination, from?, since?, until?, filter?, perSecond?,
// dryRun?}; since and until as [Instant] reads them.
func (p *Plane) startReplay(c call) {
	var in struct {
		Destination string  `json:"destination"`
		From        string  `json:"from"`
		Since       string  `json:"since"`
		Until       string  `json:"until"`
		Filter      string  `json:"filter"`
		PerSecond   float64 `json:"perSecond"`
		DryRun      bool    `json:"dryRun"`
	}
	if !c.read(&in) {
		return
	}
	r := replays.Request{
		Tenant: c.tenant, Destination: in.Destination, From: in.From, Filter: in.Filter, PerSecond: in.PerSecond, DryRun: in.DryRun,
	}
	now := p.cfg.Clock()
	if err := errors.Join(instant(&r.Since, "since", in.Since, now), instant(&r.Until, "until", in.Until, now)); err != nil {
		p.fail(c, err)
		return
	}
	job, err := p.cfg.Forwarding.Replay(c.r.Context(), r)
	if err != nil {
		p.failForwarding(c, err)
		return
	}
	writeJSON(c.w, http.StatusAccepted, job)
}

func (p *Plane) job(c call, do func(tenant, id string) (replays.Job, error), id string) {
	job, err := do(c.tenant, id)
	if err != nil {
		p.failForwarding(c, err)
		return
	}
	writeJSON(c.w, http.StatusOK, job)
}

// failForwarding answers what a caller can mend with its reason.
func (p *Plane) failForwarding(c call, err error) {
	var q *QueryError
	switch {
	case errors.Is(err, ErrNoEvent):
		writeError(c.w, http.StatusNotFound, "not_found", "messageId", "this tenant has no event of this id; one that was never accepted may be in the table rejected")
	case errors.Is(err, replays.ErrNotFound):
		writeError(c.w, http.StatusNotFound, "not_found", "id", "this tenant has no such replay")
	case errors.Is(err, replays.ErrRunning), errors.Is(err, replays.ErrDone), errors.Is(err, forwarders.ErrReplaying):
		writeError(c.w, http.StatusConflict, "conflict", "", err.Error())
	case errors.Is(err, replays.ErrBusy), errors.Is(err, replays.ErrStopping):
		writeError(c.w, http.StatusServiceUnavailable, "unavailable", "", err.Error())
	case errors.As(err, &q):
		writeError(c.w, q.Status, q.Code, "", q.Message)
	default:
		p.fail(c, err)
	}
}
