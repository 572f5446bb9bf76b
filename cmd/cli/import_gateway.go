package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/cmd/imports"
	"github.com/headlessly/headlessly/collector"
)

// A gateway that restarts, or is busy, is asked again for about two minutes.
const (
	importTries = 12
	firstPause  = 250 * time.Millisecond
	longPause   = 20 * time.Second
)

// importGateway sends events by the public door and asks the tables by SQL.
type importGateway struct {
	t         *target
	door      string
	unchecked bool
	client    *http.Client
}

// gateway finds the public door of a target.
func (in *imported) gateway(ctx context.Context, t *target) (*importGateway, error) {
	door := in.events
	if door == "" {
		door = os.Getenv("HEADLESSLY_EVENTS_URL")
	}
	if door == "" {
		var status struct {
			PublicURL string `json:"publicUrl"`
		}
		if err := t.get(ctx, "status", &status); err != nil {
			return nil, err
		}
		door = status.PublicURL
	}
	return &importGateway{t: t, door: strings.TrimRight(door, "/"), unchecked: in.unchecked, client: new(http.Client)}, nil
}

// MessageID implements imports.Gateway.
func (g *importGateway) MessageID(id string) string {
	stored, _ := collector.MessageID(g.t.tenant, id)
	return stored
}

// Known implements imports.Gateway. It asks for what is committed: what is not
// yet came within a day, and the door itself knows the ids of a day.
func (g *importGateway) Known(ctx context.Context, ids []string) (map[string]bool, error) {
	if g.unchecked {
		return map[string]bool{}, nil
	}
	q := control.Query{
		SQL:        "SELECT DISTINCT CAST(message_id AS VARCHAR) AS id FROM events WHERE message_id IN (SELECT unnest(CAST(string_split(?, ',') AS UUID[])))",
		Parameters: []any{strings.Join(ids, ",")},
		Format:     "ndjson",
		AsOf:       "9999-12-31",
	}
	known := map[string]bool{}
	err := retried(ctx, func() (bool, error) {
		raw, err := g.t.read(ctx, http.MethodPost, "sql", q)
		var refused *refusal
		if errors.As(err, &refused) {
			return false, fmt.Errorf("ask the tables which events they have: %w\n(--no-table-check does without)", err)
		}
		if err != nil {
			return true, err
		}
		clear(known)
		for line := range bytes.Lines(raw) {
			var row struct{ ID string }
			if err := json.Unmarshal(line, &row); err != nil {
				return false, fmt.Errorf("read the ids that the tables have: %w", err)
			}
			known[row.ID] = true
		}
		return false, nil
	})
	return known, err
}

// Send implements imports.Gateway.
func (g *importGateway) Send(ctx context.Context, lines [][]byte) (sent imports.Sent, err error) {
	var body bytes.Buffer
	z, err := gzip.NewWriterLevel(&body, gzip.BestSpeed)
	if err != nil {
		return sent, err
	}
	for _, l := range lines {
		if _, err := z.Write(append(l[:len(l):len(l)], '\n')); err != nil {
			return sent, err
		}
	}
	if err := z.Close(); err != nil {
		return sent, err
	}
	err = retried(ctx, func() (again bool, err error) {
		sent, again, err = g.post(ctx, body.Bytes(), len(lines))
		return again, err
	})
	return sent, err
}

// post sends lines once. What is sent again after half of it was taken comes
// back as known.
func (g *importGateway) post(ctx context.Context, body []byte, lines int) (sent imports.Sent, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.door+"/e/ndjson?t="+url.QueryEscape(g.t.tenant), bytes.NewReader(body))
	if err != nil {
		return sent, false, err
	}
	req.Header.Set("Authorization", "Bearer "+g.t.key)
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("Content-Encoding", "gzip")
	res, err := g.client.Do(req)
	if err != nil {
		return sent, true, fmt.Errorf("%w at %s: %w", errNotRunning, g.door, err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	if res.StatusCode != http.StatusAccepted {
		return sent, res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= http.StatusInternalServerError, doorRefusal(ctx, res)
	}
	sent.Bad = map[int]*imports.Fault{}
	dec := json.NewDecoder(res.Body)
	for {
		var told struct {
			Error      string
			Field      *string // of a refused line, "" where none is at fault
			Message    string
			Line       int
			Accepted   int64
			Duplicates int64
			Rejected   int
			Done       bool
		}
		if err := dec.Decode(&told); err != nil {
			return sent, true, fmt.Errorf("the gateway's answer was cut off: %w", err)
		}
		switch {
		case told.Error != "" && told.Field == nil: // the upload as a whole ends here
			return sent, true, fmt.Errorf("the gateway stopped: %s", told.Message)
		case told.Error != "" && told.Line > 0 && told.Line <= lines:
			sent.Bad[told.Line-1] = &imports.Fault{Code: told.Error, Field: *told.Field, Message: told.Message}
		case told.Done:
			sent.Taken, sent.Known = told.Accepted-told.Duplicates, told.Duplicates
			if len(sent.Bad) != told.Rejected {
				return sent, false, fmt.Errorf("the gateway refused %d rows and told of %d", told.Rejected, len(sent.Bad))
			}
			return sent, false, nil
		}
	}
}

// doorRefusal reads why the door took nothing, and waits as it asks.
func doorRefusal(ctx context.Context, res *http.Response) error {
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 {
		wait(ctx, min(time.Duration(s)*time.Second, longPause))
	}
	r := new(refusal)
	if json.Unmarshal(raw, r) != nil || r.Message == "" {
		return fmt.Errorf("the gateway answered %s", res.Status)
	}
	return fmt.Errorf("%s %w", r.Field, r)
}

// retried calls do until it needs no other try.
func retried(ctx context.Context, do func() (again bool, err error)) error {
	pause := firstPause
	for try := 1; ; try++ {
		again, err := do()
		if err == nil || !again || try == importTries || ctx.Err() != nil {
			return err
		}
		wait(ctx, pause)
		pause = min(2*pause, longPause)
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
