package control

import (
	"errors"
	"net/http"
)

// handlers routes what is below /~{tenant}/handlers: the entities of type
// Handler, and how their runs went.
func (p *Plane) handlers(c call, parts []string) {
	if p.cfg.Handlers == nil || len(parts) != 2 || parts[1] != "runs" {
		if len(parts) == 1 && parts[0] == "" {
			parts = nil
		}
		p.entities(c, append([]string{"Handler"}, parts...))
		return
	}
	c.only(http.MethodGet, func(c call) {
		scope, err := p.scope(c)
		if err != nil {
			p.fail(c, err)
			return
		}
		runs, err := p.cfg.Handlers.Runs(c.r.Context(), scope, parts[0])
		if err != nil {
			p.fail(c, err)
			return
		}
		writeJSON(c.w, http.StatusOK, runs)
	})
}

// AsQueryError is the refusal of a query in err, nil for another error.
func AsQueryError(err error) *QueryError {
	var bad *QueryError
	if errors.As(err, &bad) {
		return bad
	}
	return nil
}
