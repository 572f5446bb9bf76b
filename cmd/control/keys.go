package control

import (
	"net/http"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/store"
)

type keyEntity struct {
	ID        string             `json:"$id"`
	Kind      headlessly.KeyKind `json:"kind"`
	Prefix    string             `json:"prefix"`
	CreatedAt string             `json:"$createdAt"`
	RevokedAt string             `json:"revokedAt,omitempty"`
	Key       string             `json:"key,omitempty"` // at creation only
}

func shownKey(k store.KeyInfo) keyEntity {
	e := keyEntity{ID: k.ID, Kind: k.Kind, Prefix: k.Prefix, CreatedAt: headlessly.Time(k.CreatedAt).Format(timeFormat)}
	if k.RevokedAt != 0 {
		e.RevokedAt = headlessly.Time(k.RevokedAt).Format(timeFormat)
	}
	return e
}

// keys lists, creates and revokes the tenant's keys.
func (p *Plane) keys(c call, parts []string) {
	switch {
	case len(parts) == 0 && c.r.Method == http.MethodGet:
		list, err := p.cfg.Store.Keys(c.r.Context(), c.tenant)
		if err != nil {
			p.fail(c, err)
			return
		}
		out := make([]keyEntity, len(list))
		for i, k := range list {
			out[i] = shownKey(k)
		}
		writeJSON(c.w, http.StatusOK, map[string]any{"results": out, "total": len(out), "hasMore": false})
	case len(parts) == 0:
		c.only(http.MethodPost, p.createKey)
	case len(parts) == 2 && parts[1] == "revoke":
		c.only(http.MethodPost, func(c call) {
			ok, err := p.cfg.Store.RevokeKey(c.r.Context(), c.tenant, parts[0])
			switch {
			case err != nil:
				p.fail(c, err)
			case !ok:
				writeError(c.w, http.StatusNotFound, "not_found", "id", "this tenant has no such working key")
			default:
				writeJSON(c.w, http.StatusOK, map[string]string{"$id": parts[0], "status": "revoked"})
			}
		})
	default:
		writeError(c.w, http.StatusNotFound, "not_found", "", "keys knows GET, POST and POST …/{id}/revoke")
	}
}

func (p *Plane) createKey(c call) {
	var in struct {
		Kind headlessly.KeyKind `json:"kind"`
	}
	if !c.read(&in) {
		return
	}
	if in.Kind != headlessly.KeyPublic && in.Kind != headlessly.KeySecret {
		writeError(c.w, http.StatusBadRequest, "validation_failed", "kind", "kind must be public or secret")
		return
	}
	info, value, err := p.cfg.Store.CreateKey(c.r.Context(), c.tenant, in.Kind)
	if err != nil {
		p.fail(c, err)
		return
	}
	e := shownKey(info)
	e.Key = value.Reveal() // shown once
	writeJSON(c.w, http.StatusCreated, e)
}
