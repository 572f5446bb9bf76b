package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/headlessly/headlessly"
)

// Forgetting deletes people.
type Forgetting interface {
	// Forget begins a person's deletion and waits for its end; the receipt is
	// nil when it has to go on without the caller.
	Forget(ctx context.Context, tenant string, who Who) (id string, receipt json.RawMessage, err error)
	// Receipt gives the receipt of a deletion, nil while it is under way, and
	// known false where there is no such deletion.
	Receipt(ctx context.Context, tenant, id string) (receipt json.RawMessage, known bool, err error)
	// Verify checks a receipt's signature and subject, and searches again.
	Verify(ctx context.Context, tenant, user string, receipt json.RawMessage) (any, error)
	// Lift lets the person's events in again.
	Lift(ctx context.Context, tenant string, who Who) (int, error)
}

// Who is a person as a caller names them.
type Who struct {
	UserID       string   `json:"userId"`
	AnonymousIDs []string `json:"anonymousIds,omitempty"` // beside those that are found
	// Receipt is checked, on the path that does that.
	Receipt json.RawMessage `json:"receipt,omitempty"`
}

// who reads the person from the body, and answers what is wrong with it.
func (c call) who() (w Who, ok bool) {
	dec := json.NewDecoder(c.r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&w); err != nil {
		writeError(c.w, http.StatusBadRequest, "invalid_json", "", `the body must be like {"userId":"user-7"}: `+err.Error())
		return w, false
	}
	if w.UserID == "" || len(w.UserID) > headlessly.MaxIDBytes {
		writeError(c.w, http.StatusBadRequest, "validation_failed", "userId", "userId is missing or too long: name the person by the user id that their events carry")
		return w, false
	}
	return w, true
}

func (p *Plane) forget(c call) {
	who, ok := c.who()
	if !ok {
		return
	}
	id, receipt, err := p.cfg.Forgetting.Forget(c.r.Context(), c.tenant, who)
	switch {
	case id == "":
		p.fail(c, err)
	case receipt == nil:
		p.forgetPending(c, id)
	default:
		writeJSON(c.w, http.StatusOK, receipt)
	}
}

func (p *Plane) forgetPending(c call, id string) {
	c.w.Header().Set("Retry-After", "5")
	writeJSON(c.w, http.StatusAccepted, map[string]string{
		"id": id, "status": "pending",
		"message": "the deletion goes on, also after a restart; nothing of the person is taken any more. Ask again at forget/" + id,
	})
}

func (p *Plane) forgetReceipt(c call, id string) {
	receipt, known, err := p.cfg.Forgetting.Receipt(c.r.Context(), c.tenant, id)
	switch {
	case err != nil:
		p.fail(c, err)
	case !known:
		writeError(c.w, http.StatusNotFound, "not_found", "id", "this tenant has no such deletion")
	case receipt == nil:
		p.forgetPending(c, id)
	default:
		writeJSON(c.w, http.StatusOK, receipt)
	}
}

func (p *Plane) verifyForget(c call) {
	who, ok := c.who()
	if !ok {
		return
	}
	if len(who.Receipt) == 0 {
		writeError(c.w, http.StatusBadRequest, "validation_failed", "receipt", "receipt is missing: send what the deletion answered")
		return
	}
	found, err := p.cfg.Forgetting.Verify(c.r.Context(), c.tenant, who.UserID, who.Receipt)
	var field *headlessly.FieldError
	switch {
	case errors.As(err, &field):
		writeFaults(c.w, err)
	case err != nil:
		p.fail(c, err)
	default:
		writeJSON(c.w, http.StatusOK, found)
	}
}

func (p *Plane) liftForget(c call) {
	who, ok := c.who()
	if !ok {
		return
	}
	n, err := p.cfg.Forgetting.Lift(c.r.Context(), c.tenant, who)
	if err != nil {
		p.fail(c, err)
		return
	}
	writeJSON(c.w, http.StatusOK, map[string]int{"lifted": n})
}
