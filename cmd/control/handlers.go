package control

import (
	"errors"
	"net/http"
)

// handlerType is the entity type of stored handlers.
const handlerType = "Handler"

// runs answers how a handler's runs went.
func (p *Plane) runs(c call, id string) {
	scope, err := p.scope(c)
	if err != nil {
		p.fail(c, err)
		return
	}
	runs, err := p.cfg.Handlers.Runs(c.r.Context(), scope, id)
	if err != nil {
		p.fail(c, err)
		return
	}
	writeJSON(c.w, http.StatusOK, runs)
}

// AsQueryError is the refusal of a query in err, nil for another error.
func AsQueryError(err error) *QueryError {
	var bad *QueryError
	if errors.As(err, &bad) {
		return bad
	}
	return nil
}
