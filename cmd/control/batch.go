package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/headlessly/headlessly/connectors/graph"
)

// maxBatchBody bounds a batch's body.
const maxBatchBody = 16 << 20

// operation is one entry of a batch.
type operation struct {
	Type      string         `json:"type"`
	Verb      string         `json:"verb"`
	ID        string         `json:"id"`
	Data      map[string]any `json:"data"`
	IfVersion int64          `json:"ifVersion"`
}

// outcome is what became of one operation: an entity, or an error.
type outcome struct {
	Status int           `json:"status"`
	Entity *graph.Entity `json:"entity,omitempty"`
	Gone   *gone         `json:"deleted,omitempty"`
	Error  *graph.Error  `json:"error,omitempty"`
}

// runBatch performs up to [graph.MaxOps] operations, each for itself. The answer
// is 200 with a result for each, in order.
func (p *Plane) runBatch(c call) {
	list, err := c.operations()
	if err != nil {
		p.fail(c, err)
		return
	}
	scope, err := p.scope(c)
	if err != nil {
		p.fail(c, err)
		return
	}
	out := make([]outcome, len(list))
	ops := make([]graph.Op, 0, len(list))
	at := make([]int, 0, len(list)) // of each op in out
	for i, o := range list {
		op := graph.Op{Type: o.Type, Verb: o.Verb, ID: o.ID, Args: o.Data, IfVersion: o.IfVersion}
		if o.Verb == graph.VerbRollback {
			op, err = rollback(op)
		}
		if err == nil {
			err = c.permits(o.Type, o.Verb)
		}
		if err != nil {
			out[i] = p.failed(c, err)
			err = nil
			continue
		}
		ops, at = append(ops, op), append(at, i)
	}
	results, err := scope.Batch(c.r.Context(), ops)
	if err != nil {
		p.fail(c, err)
		return
	}
	for i, r := range results {
		out[at[i]] = p.outcome(c, ops[i], r)
	}
	failed := 0
	for i := range out {
		if out[i].Error != nil {
			failed++
		}
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"results": out, "succeeded": len(out) - failed, "failed": failed})
}

func (p *Plane) outcome(c call, op graph.Op, r graph.BatchResult) outcome {
	switch {
	case r.Err != nil:
		return p.failed(c, r.Err)
	case op.Verb == graph.VerbDelete:
		g := deleted(r.Result)
		return outcome{Status: http.StatusOK, Gone: &g}
	case op.Verb == graph.VerbCreate:
		return outcome{Status: http.StatusCreated, Entity: r.Entity}
	}
	return outcome{Status: http.StatusOK, Entity: r.Entity}
}

func (p *Plane) failed(c call, err error) outcome {
	e := p.known(c, err)
	return outcome{Status: e.Status(), Error: e}
}

// operations reads a batch: a list, or an object with a list in operations.
func (c call) operations() ([]operation, error) {
	var in struct {
		Operations []operation `json:"operations"`
	}
	var raw json.RawMessage
	dec := json.NewDecoder(c.r.Body)
	err := dec.Decode(&raw)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &graph.Error{Code: graph.CodeTooLarge, Field: "body", Message: fmt.Sprintf("the body is larger than %d bytes; send several batches", large.Limit)}
	case err != nil:
		return nil, &graph.Error{Code: graph.CodeInvalidJSON, Field: "body", Message: "the body must be {\"operations\":[…]}: " + err.Error()}
	case len(raw) > 0 && raw[0] == '[':
		err = strict(raw, &in.Operations)
	default:
		err = strict(raw, &in)
	}
	if err != nil {
		return nil, &graph.Error{Code: graph.CodeInvalidJSON, Field: "operations", Message: "operations: each has type, verb, id, data, ifVersion: " + err.Error()}
	}
	if in.Operations == nil {
		return nil, &graph.Error{Code: graph.CodeValidation, Field: "operations", Message: "operations: is missing; send {\"operations\":[{\"type\":\"Contact\",\"verb\":\"create\",\"data\":{…}}]}"}
	}
	return in.Operations, nil
}
