package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/collector/eventlog"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/all"
	"github.com/headlessly/headlessly/forwarders/replays"
	"github.com/headlessly/headlessly/lakehouse"
)

// Sources of a replay.
const (
	fromLog  = "log"  // what the log still holds
	fromLake = "lake" // every event that was ever stored
	fromDead = "dead" // what the destination refused or may have
)

// logSlack is how much later than its receipt an event may be in the log, or
// earlier by the log's clock, which may be another machine's.
const logSlack = time.Minute

// forwarding answers the control plane's questions about deliveries.
type forwarding struct {
	log    *eventlog.Log
	lake   *lakehouse.Lake
	router *forwarders.Router
	jobs   *replays.Jobs
	runs   bool // this gateway forwards
}

func (g *Gateway) openForwarding(context.Context) (err error) {
	f := &forwarding{log: g.log, lake: g.lake, router: g.router, runs: g.cfg.Runs(config.RoleForward)}
	registry := all.Registry()
	f.jobs, err = replays.Open(replays.Config{
		Dir: filepath.Join(g.cfg.Data, "replays"), Replay: g.router.Replay, Clock: headlessly.SystemClock, Logger: g.logger,
		Known:   func(name string) bool { return registry.Find(name) != nil },
		Sources: map[string]replays.Source{fromLog: f.fromLog, fromLake: f.fromLake, fromDead: f.fromDead},
	})
	g.forward = f
	return err
}

// Replays implements control.Forwarding.
func (f *forwarding) Replays() *replays.Jobs { return f.jobs }

// Replay implements control.Forwarding. Without a source it takes the log where
// that reaches back far enough, else the lakehouse.
func (f *forwarding) Replay(ctx context.Context, r replays.Request) (replays.Job, error) {
	if !f.runs {
		return replays.Job{}, &control.QueryError{Status: http.StatusConflict, Code: "conflict", Message: "this gateway does not forward: ask one with the role forward"}
	}
	if r.From == "" {
		r.From = fromLake
		in, err := f.log.Inspect(ctx)
		if err != nil {
			return replays.Job{}, err
		}
		if in.Frames > 0 && !r.Since.IsZero() && in.FirstTime.Before(r.Since) {
			r.From = fromLog
		}
	}
	return f.jobs.Start(r) //nolint:contextcheck // a job outlives the request that starts it
}

// fromLog gives the log's events in order, from since or a place on.
func (f *forwarding) fromLog(ctx context.Context, r replays.Request, after int64) (replays.Stream, error) {
	last, err := f.log.Last(ctx)
	if err != nil {
		return replays.Stream{}, err
	}
	first := uint64(1)
	if !r.Since.IsZero() {
		if first, err = forwarders.SeekLog(ctx, f.log, r.Since.Add(-logSlack)); err != nil {
			return replays.Stream{}, err
		}
	}
	end := last
	if !r.Until.IsZero() {
		if end, err = forwarders.SeekLog(ctx, f.log, r.Until.Add(logSlack)); err != nil {
			return replays.Stream{}, err
		}
	}
	if first > 1 {
		after = max(after, headlessly.LogSeq(first, 0)-1)
	}
	return replays.Stream{
		Events: forwarders.FromLog(ctx, f.log, after, min(end, last)),
		Share: func(position int64) float64 {
			at, _ := headlessly.SplitLogSeq(position)
			if at < first || end < first {
				return 0
			}
			return min(1, float64(at-first+1)/float64(end-first+1))
		},
	}, nil
}

// fromLake gives the stored events, the oldest days first.
func (f *forwarding) fromLake(ctx context.Context, r replays.Request, _ int64) (replays.Stream, error) {
	s := replays.Stream{Events: func(yield func(forwarders.Replayed, error) bool) {
		for e, err := range f.lake.Events(ctx, lakehouse.EventFilter{Tenant: r.Tenant, From: r.Since, To: r.Until}) {
			if !yield(forwarders.Replayed{Event: &e}, err) {
				return
			}
		}
	}}
	var count []struct {
		N int64 `json:"n"`
	}
	// Only for the progress: without SQL a replay works too.
	if err := f.rows(ctx, r.Tenant, "select count(*) as n from events where "+between("received_at", r.Since, r.Until), &count); err == nil && len(count) == 1 {
		s.Total = count[0].N
	}
	return s, nil
}

// fromDead gives what the destination refused for good, and what it may have.
func (f *forwarding) fromDead(ctx context.Context, r replays.Request, _ int64) (replays.Stream, error) {
	return replays.Stream{Events: forwarders.FromParked(ctx, f.log, r.Tenant, r.Destination)}, nil
}

// Deliveries implements control.Forwarding.
func (f *forwarding) Deliveries(ctx context.Context, tenant string, d control.DeliveryFilter) ([]forwarders.Attempt, error) {
	where := []string{between(`"at"`, d.Since, d.Until)}
	for column, v := range map[string]string{"destination": d.Destination, "integration": d.Integration, "outcome": d.Outcome, "message_id": d.MessageID} {
		if v != "" {
			where = append(where, column+" = "+literal(v))
		}
	}
	return f.attempts(ctx, tenant, strings.Join(where, " and ")+fmt.Sprintf(` order by "at" desc, attempt desc limit %d`, d.Limit))
}

// attempts asks the deliveries table; rest is what follows where.
func (f *forwarding) attempts(ctx context.Context, tenant, rest string) ([]forwarders.Attempt, error) {
	var rows []struct {
		At          int64  `json:"at_us"`
		Took        int64  `json:"took_us"`
		Destination string `json:"destination"`
		Integration string `json:"integration"`
		MessageID   string `json:"message_id"`
		Event       string `json:"event"`
		EventSeq    int64  `json:"event_seq"`
		Attempt     int64  `json:"attempt"`
		Outcome     string `json:"outcome"`
		Status      int64  `json:"status"`
		Note        string `json:"note"`
		Error       string `json:"error"`
		Replay      bool   `json:"replay"`
	}
	err := f.rows(ctx, tenant, `select epoch_us("at") as at_us, took_us, destination, integration, message_id, event, event_seq, attempt, outcome, status, note, error, replay
		from deliveries where `+rest, &rows)
	out := make([]forwarders.Attempt, 0, len(rows))
	for _, r := range rows {
		out = append(out, forwarders.AttemptOf(&headlessly.Delivery{
			Tenant: tenant, Destination: r.Destination, Integration: r.Integration, MessageID: r.MessageID, Event: r.Event, EventSeq: r.EventSeq,
			Attempt: r.Attempt, At: r.At, Took: r.Took, Outcome: r.Outcome, Status: r.Status, Note: r.Note, Error: r.Error, Replay: r.Replay,
		}))
	}
	return out, err
}

// rows asks SQL and decodes the rows.
func (f *forwarding) rows(ctx context.Context, tenant, query string, to any) error {
	var out bytes.Buffer
	if err := ask(ctx, f.lake, tenant, control.Query{SQL: query, Format: string(lakehouse.FormatJSON)}, &out); err != nil {
		return err
	}
	answer := struct {
		Rows any `json:"rows"`
	}{to}
	if err := json.NewDecoder(&out).Decode(&answer); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}

// literal writes a text as SQL has it.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// between bounds a column of times, "true" without bounds.
func between(column string, since, until time.Time) string {
	out := "true"
	for _, b := range []struct {
		op string
		at time.Time
	}{{">=", since}, {"<", until}} {
		if !b.at.IsZero() {
			out += fmt.Sprintf(" and %s %s timestamptz %s", column, b.op, literal(b.at.UTC().Format("2006-01-02 15:04:05.999999+00")))
		}
	}
	return out
}
