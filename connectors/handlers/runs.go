package handlers

import (
	"context"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/sandbox"
)

// Runs is what became of a handler's runs at this gateway since it started.
type Runs struct {
	Runs     int64          `json:"runs"`
	Failures int64          `json:"failures"` // vetoes among them
	LastMs   int64          `json:"lastMs"`
	Last     string         `json:"lastError,omitempty"` // of the last run that failed
	Console  []sandbox.Line `json:"console"`             // of the last run
	Parked   []graph.Parked `json:"parked"`              // events that it did not take, oldest first
}

// note counts a run.
func (h *Handlers) note(id string, r sandbox.Result, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.runs[id]
	if n == nil {
		n = &Runs{}
		h.runs[id] = n
	}
	n.Runs++
	n.LastMs, n.Console = r.Elapsed.Milliseconds(), r.Console[:min(len(r.Console), parkedInAnswer)]
	if err != nil {
		n.Failures++
		n.Last = err.Error()
	}
}

// Runs tells how a tenant's handler fares; the error of an unknown one is a
// *graph.Error.
func (h *Handlers) Runs(ctx context.Context, scope *graph.Scope, id string) (Runs, error) {
	if _, err := scope.Get(ctx, typ, id, graph.AsOf{}); err != nil {
		return Runs{}, err
	}
	parked, err := h.cfg.Store.Parked(ctx, "handler_"+scope.Tenant()+"_"+id)
	if err != nil {
		return Runs{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var out Runs
	if n := h.runs[id]; n != nil {
		out = *n
	}
	out.Parked = append([]graph.Parked{}, parked[:min(len(parked), parkedInAnswer)]...)
	out.Console = append([]sandbox.Line{}, out.Console...)
	return out, nil
}
