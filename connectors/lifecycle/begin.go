package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

// heldError means that a sync did not start: a hook vetoed it, or it could not
// be asked. The integration stays as it is.
type heldError struct{ err error }

func (e *heldError) Error() string { return "the sync did not start: " + e.err.Error() }
func (e *heldError) Unwrap() error { return e.err }

func isHeld(err error) bool {
	var h *heldError
	return errors.As(err, &h)
}

// begin records that a sync starts. The verb's before hooks run once for it:
// when a caller asked, that was then. A sync that goes on after a restart, and
// one that tries again what has failed, has begun already.
func (c *Connections) begin(ctx context.Context, n *linked) error {
	c.mu.Lock()
	status, asked := n.status, n.asked
	n.asked, n.again = false, false // this sync is what was asked for
	c.mu.Unlock()
	if status == statusSyncing || status == statusErrored {
		return nil
	}
	var err error
	if asked {
		err = c.record(ctx, n.link, "Syncing", map[string]any{"status": statusSyncing})
	} else if _, err = n.link.Graph.Verb(ctx, integration, "sync", n.link.ID, nil); err != nil {
		err = &heldError{err}
	}
	if err == nil {
		c.setStatus(n, statusSyncing)
	}
	return err
}

// errNotConnected means that an integration was disconnected, or deleted,
// before what happened to it could be recorded.
var errNotConnected = errors.New("the integration is not connected any more")

// recordTries bounds how often an event is tried that lost a race.
const recordTries = 24

// record stores an event of an integration that is still connected, without the
// hooks of a verb.
func (c *Connections) record(ctx context.Context, l *connectors.Link, event string, fields map[string]any) error {
	ctx = connectors.Own(ctx)
	var err error
	for range recordTries {
		var e *graph.Entity
		e, err = l.Graph.Get(ctx, integration, l.ID, graph.AsOf{})
		switch {
		case graph.CodeOf(err) == graph.CodeNotFound:
			return errNotConnected
		case err != nil:
			return err
		case !slices.Contains(linkedStatuses(), any(e.Text("status"))):
			return errNotConnected
		}
		_, err = l.Graph.Do(ctx, graph.Op{Type: integration, Event: event, ID: l.ID, Args: fields, IfVersion: e.Version})
		if graph.CodeOf(err) != graph.CodeVersionMismatch {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("record %s: %w", event, err)
	}
	return nil
}

// emit records a further event of an integration; that it could not is logged.
func (c *Connections) emit(ctx context.Context, l *connectors.Link, event string, fields map[string]any) {
	err := c.record(context.WithoutCancel(ctx), l, event, fields)
	if err != nil && !errors.Is(err, errNotConnected) {
		l.Logger.Warn("integration.emit", slog.String("event", event), slog.Any("error", err))
	}
}
