package control

import (
	"errors"
	"net/http"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/store"
)

type keyEntity struct {
	ID         string             `json:"$id"`
	Type       string             `json:"$type"`
	Name       string             `json:"name"`
	Kind       headlessly.KeyKind `json:"kind"`
	Prefix     string             `json:"prefix"`
	Scopes     []string           `json:"scopes"`
	CreatedAt  string             `json:"$createdAt"`
	LastUsedAt string             `json:"lastUsedAt,omitempty"`
	RevokedAt  string             `json:"revokedAt,omitempty"`
	Key        string             `json:"key,omitempty"` // at creation and rotation only
}

func shownKey(k store.KeyInfo) keyEntity {
	e := keyEntity{ID: k.ID, Type: apiKeyType, Name: k.Name, Kind: k.Kind, Prefix: k.Prefix, Scopes: k.Scopes, CreatedAt: graph.FormatTime(k.CreatedAt)}
	if e.Scopes == nil {
		e.Scopes = []string{}
	}
	if k.LastUsedAt != 0 {
		e.LastUsedAt = graph.FormatTime(k.LastUsedAt)
	}
	if k.RevokedAt != 0 {
		e.RevokedAt = graph.FormatTime(k.RevokedAt)
	}
	return e
}

// listKeys lists a tenant's keys, or the admin keys below /~/keys. A tenant's
// keys are entities of type ApiKey too; both are the same keys.
func (p *Plane) listKeys(c call) {
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
}

func (p *Plane) showKey(c call, id string) {
	info, ok := p.cfg.Store.Key(id)
	if !ok || info.Tenant != c.tenant {
		p.fail(c, noSuchKey(id))
		return
	}
	writeJSON(c.w, http.StatusOK, shownKey(info))
}

func noSuchKey(id string) error {
	return &graph.Error{Code: graph.CodeNotFound, Type: apiKeyType, ID: id, Message: "there is no such key"}
}

func (p *Plane) createKey(c call) {
	body, ok := c.object()
	if !ok {
		return
	}
	if c.tenant == "" { // admin keys belong to no tenant, so the graph has none
		info, value, err := p.cfg.Store.IssueKey(c.r.Context(), store.KeyInfo{Key: headlessly.Key{Kind: headlessly.KeyAdmin}, Name: text(body["name"])})
		p.answerKey(c, http.StatusCreated, info, value, err)
		return
	}
	if kind := text(body["kind"]); kind != "" && kind != string(headlessly.KeyPublic) && kind != string(headlessly.KeySecret) {
		writeError(c.w, http.StatusBadRequest, "validation_failed", "kind", "kind must be public or secret")
		return
	}
	if text(body["name"]) == "" {
		body["name"] = "key"
	}
	scope, err := p.cfg.Graph.Scope(c.tenant, c.key.ID)
	if err != nil {
		p.fail(c, err)
		return
	}
	e, value, err := p.revealing(c, scope, graph.Op{Type: apiKeyType, Verb: graph.VerbCreate, Args: body})
	if err != nil {
		p.fail(c, err)
		return
	}
	info, _ := p.cfg.Store.Key(e.Entity.ID)
	p.answerKey(c, http.StatusCreated, info, value, nil)
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// revealing performs a mutation of an ApiKey and gives the value that it made,
// if any. One that was made for nothing is stopped.
func (p *Plane) revealing(c call, scope *graph.Scope, op graph.Op) (graph.Result, headlessly.Secret, error) {
	r := &reveal{}
	res, err := scope.Do(revealing(c.r.Context(), r), op)
	if err != nil && r.id != "" {
		_, stop := p.cfg.Store.RevokeKey(c.r.Context(), c.tenant, r.id)
		err = errors.Join(err, stop)
	}
	return res, r.value, err
}

func (p *Plane) answerKey(c call, status int, info store.KeyInfo, value headlessly.Secret, err error) {
	if err != nil {
		p.fail(c, err)
		return
	}
	e := shownKey(info)
	e.Key = value.Reveal() // shown once
	writeJSON(c.w, status, e)
}

// changeKey revokes, rotates or updates a key.
func (p *Plane) changeKey(c call, id, verb string) {
	body, ok := c.object()
	if !ok {
		return
	}
	info, known := p.cfg.Store.Key(id)
	if !known || info.Tenant != c.tenant || info.RevokedAt != 0 {
		p.fail(c, noSuchKey(id))
		return
	}
	if c.tenant == "" {
		p.changeAdminKey(c, id, verb, body)
		return
	}
	scope, err := p.cfg.Graph.Scope(c.tenant, c.key.ID)
	if err != nil {
		p.fail(c, err)
		return
	}
	_, value, err := p.revealing(c, scope, graph.Op{Type: apiKeyType, Verb: verb, ID: id, Args: body})
	info, _ = p.cfg.Store.Key(id)
	p.answerKey(c, http.StatusOK, info, value, err)
}

func (p *Plane) changeAdminKey(c call, id, verb string, body map[string]any) {
	var value headlessly.Secret
	var err error
	switch verb {
	case "revoke":
		_, err = p.cfg.Store.RevokeKey(c.r.Context(), "", id)
	case "rotate":
		var grace time.Duration
		if grace, err = graceOf(body, id); err == nil {
			_, value, err = p.cfg.Store.RotateKey(c.r.Context(), "", id, grace)
		}
	default:
		_, err = p.cfg.Store.SetKey(c.r.Context(), "", id, text(body["name"]), nil)
	}
	info, _ := p.cfg.Store.Key(id)
	p.answerKey(c, http.StatusOK, info, value, err)
}
