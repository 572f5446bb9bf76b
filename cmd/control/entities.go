package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/headlessly/headlessly/connectors/graph"
)

// resource is one request for entities of one type.
type resource struct {
	call
	p     *Plane
	typ   *graph.Type
	scope *graph.Scope
}

// entities routes what is below /~{tenant}/{Type}.
func (p *Plane) entities(c call, parts []string) {
	t, err := p.cfg.Graph.Types().Lookup(parts[0])
	if err != nil {
		p.fail(c, err)
		return
	}
	scope, err := p.scope(c)
	if err != nil {
		p.fail(c, err)
		return
	}
	r := resource{call: c, p: p, typ: t, scope: scope}
	switch {
	case len(parts) == 1:
		r.methods(methods{http.MethodGet: r.list, http.MethodPost: r.create})
	case len(parts) == 2 && p.cfg.Graph.Types().OfID(parts[1]) == nil:
		r.onType(parts[1])
	case len(parts) == 2:
		update := func() { r.update(parts[1]) }
		r.methods(methods{
			http.MethodGet: func() { r.get(parts[1]) }, http.MethodPatch: update, http.MethodPut: update,
			http.MethodDelete: func() { r.delete(parts[1]) },
		})
	case len(parts) == 3 && parts[2] == "events":
		r.methods(methods{http.MethodGet: func() { p.listEvents(c, scope, parts[1]) }})
	case len(parts) == 3:
		r.methods(methods{http.MethodPost: func() { r.verb(parts[2], parts[1]) }})
	default:
		p.fail(c, &graph.Error{Code: graph.CodeNotFound, Type: t.Name, Message: "there is nothing at this path; an entity has /{id} and /{id}/{verb}"})
	}
}

// methods are the handlers of one path.
type methods map[string]func()

func (c call) methods(m methods) {
	method := c.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if f := m[method]; f != nil {
		f()
		return
	}
	var allowed []string
	for _, name := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete} {
		if m[name] != nil {
			allowed = append(allowed, name)
		}
	}
	c.w.Header().Set("Allow", strings.Join(allowed, ", "))
	writeError(c.w, http.StatusMethodNotAllowed, "method_not_allowed", "", "use "+strings.Join(allowed, " or "))
}

// onType is a verb on the type itself, or the id of nothing.
func (r resource) onType(name string) {
	switch name {
	case "find", "count":
		r.methods(methods{http.MethodGet: func() { r.search(name, false) }, http.MethodPost: func() { r.search(name, true) }})
	case "get":
		r.methods(methods{http.MethodPost: func() {
			if body, ok := r.object(); ok {
				id, _ := body["id"].(string)
				r.get(id)
			}
		}})
	default:
		if _, err := r.typ.FindVerb(name); err != nil && r.r.Method != http.MethodPost {
			r.p.fail(r.call, r.p.cfg.Graph.NoSuch(r.typ.Name, name))
			return
		}
		r.methods(methods{http.MethodPost: func() { r.verb(name, "") }})
	}
}

func (r resource) list() { r.search("find", false) }

// search answers find and count, with the query in the URL or in the body.
func (r resource) search(verb string, body bool) {
	var q graph.Query
	var err error
	if body {
		q, err = r.bodyQuery()
	} else {
		q, err = urlQuery(r.typ, r.r.URL.Query())
	}
	if err != nil {
		r.p.fail(r.call, err)
		return
	}
	if err := r.mayInclude(q); err != nil {
		r.p.fail(r.call, err)
		return
	}
	if verb == "count" {
		n, err := r.scope.Count(r.r.Context(), r.typ.Name, q.Filter, q.AsOf)
		if err != nil {
			r.p.fail(r.call, err)
			return
		}
		writeJSON(r.w, http.StatusOK, map[string]int64{"count": n})
		return
	}
	page, err := r.scope.Find(r.r.Context(), q)
	if err != nil {
		r.p.fail(r.call, err)
		return
	}
	r.page(page)
}

// mayInclude refuses entities of other types to a key that may read one type.
func (r resource) mayInclude(q graph.Query) error {
	if len(q.Include) > 0 && !allows(r.key.Scopes, ScopeRead, "") {
		return outOfScope(ScopeRead, "")
	}
	return nil
}

// page writes a page's entities as they are stored, without parsing them again.
func (r resource) page(page *graph.Page) {
	b := append(make([]byte, 0, 16<<10), `{"results":[`...)
	var err error
	for i, e := range page.Results {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = e.AppendJSON(b); err != nil {
			r.p.fail(r.call, err)
			return
		}
	}
	b = fmt.Appendf(b, `],"total":%d,"hasMore":%t`, page.Total, page.HasMore)
	if page.Cursor != "" {
		b = append(append(b, `,"cursor":`...), strconv.Quote(page.Cursor)...)
	}
	writeRaw(r.w, http.StatusOK, append(b, "}\n"...))
}

func (r resource) get(id string) {
	q, err := getQuery(r.r.URL.Query())
	if err != nil {
		r.p.fail(r.call, err)
		return
	}
	if err := r.mayInclude(q); err != nil {
		r.p.fail(r.call, err)
		return
	}
	q.Type = r.typ.Name
	e, err := r.scope.Lookup(r.r.Context(), id, q)
	if err != nil {
		r.p.fail(r.call, err)
		return
	}
	tag := etag(e)
	if none := r.r.Header.Get("If-None-Match"); none != "" && tagged(none, e.Version) && len(q.Include) == 0 {
		r.w.Header().Set("ETag", tag)
		r.w.WriteHeader(http.StatusNotModified)
		return
	}
	r.entity(http.StatusOK, e)
}

// entity writes one entity, its version as ETag.
func (r resource) entity(status int, e *graph.Entity) {
	b, err := e.AppendJSON(make([]byte, 0, 2<<10))
	if err != nil {
		r.p.fail(r.call, err)
		return
	}
	r.w.Header().Set("ETag", etag(e))
	writeRaw(r.w, status, append(b, '\n'))
}

func (r resource) create() {
	if body, ok := r.object(); ok {
		r.do(graph.Op{Verb: graph.VerbCreate, Args: body})
	}
}

func (r resource) update(id string) {
	if body, ok := r.object(); ok {
		r.do(graph.Op{Verb: graph.VerbUpdate, ID: id, Args: body})
	}
}

func (r resource) delete(id string) { r.do(graph.Op{Verb: graph.VerbDelete, ID: id}) }

// verb does a verb on one entity, or on the type: then the body's id, if there
// is one, names the entity.
func (r resource) verb(name, id string) {
	body, ok := r.object()
	if !ok {
		return
	}
	op := graph.Op{Verb: name, ID: id, Args: body}
	if name == graph.VerbRollback {
		var err error
		if op, err = rollback(op); err != nil {
			r.p.fail(r.call, err)
			return
		}
	}
	r.do(op)
}

// rollback reads where to go back to.
func rollback(op graph.Op) (graph.Op, error) {
	for name, v := range op.Args {
		switch name {
		case "id":
			if s, ok := v.(string); ok && op.ID == "" {
				op.ID = s
			}
		case "version", "to":
			n, _ := v.(json.Number)
			version, err := n.Int64()
			if err != nil || version < 1 {
				return op, &graph.Error{Code: graph.CodeValidation, ID: op.ID, Field: name, Message: name + ": must be a version, 1 or more"}
			}
			op.Version = version
		case "asOf":
			s, _ := v.(string)
			var err error
			if op.AsOf, err = asOf(s); err != nil {
				return op, err
			}
		default:
			return op, &graph.Error{Code: graph.CodeValidation, ID: op.ID, Field: name, Message: name + ": a rollback takes version or asOf"}
		}
	}
	op.Args = nil
	return op, nil
}

// do performs a mutation and answers what came of it.
func (r resource) do(op graph.Op) {
	op.Type = r.typ.Name
	var err error
	if op.IfVersion, err = r.ifVersion(); err != nil {
		r.p.fail(r.call, err)
		return
	}
	if op.Type == apiKeyType {
		r.doKey(op)
		return
	}
	res, err := r.scope.Do(r.r.Context(), op)
	if err != nil {
		r.p.fail(r.call, err)
		return
	}
	r.done(op, res, nil)
}

// done answers what a mutation did; more are fields to show besides the
// entity's own.
func (r resource) done(op graph.Op, res graph.Result, more map[string]any) {
	e := res.Entity
	status := http.StatusOK
	switch op.Verb {
	case graph.VerbDelete:
		writeJSON(r.w, http.StatusOK, deleted(res))
		return
	case graph.VerbCreate:
		status = http.StatusCreated
		r.w.Header().Set("Location", "/~"+r.tenant+"/"+e.Type+"/"+e.ID)
	}
	if more != nil {
		e = e.With(more)
	}
	r.entity(status, e)
}

// doKey performs a mutation of an ApiKey; a new value is shown this once.
func (r resource) doKey(op graph.Op) {
	res, value, err := r.p.revealing(r.call, r.scope, op)
	if err != nil {
		r.p.fail(r.call, err)
		return
	}
	var more map[string]any
	if !value.IsZero() {
		more = map[string]any{"key": value.Reveal()}
	}
	r.done(op, res, more)
}

// gone is the answer to a delete.
type gone struct {
	ID      string `json:"$id"`
	Type    string `json:"$type"`
	Version int64  `json:"$version"`
	Deleted bool   `json:"deleted"`
}

func deleted(r graph.Result) gone {
	g := gone{ID: r.Entity.ID, Type: r.Entity.Type, Version: r.Entity.Version, Deleted: true}
	if r.Event != nil {
		g.Version = r.Event.Version
	}
	return g
}

func etag(e *graph.Entity) string { return `"` + strconv.FormatInt(e.Version, 10) + `"` }

// tagged says whether a list of entity tags names a version.
func tagged(header string, version int64) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
		if tag == "*" || tag == strconv.FormatInt(version, 10) {
			return true
		}
	}
	return false
}

// ifVersion reads the version that the caller means to change: If-Match, or
// ifVersion in the URL.
func (c call) ifVersion() (int64, error) {
	name, s := "If-Match", strings.TrimSpace(c.r.Header.Get("If-Match"))
	if s == "" {
		name, s = "ifVersion", c.r.URL.Query().Get("ifVersion")
	}
	if s == "" || s == "*" {
		return 0, nil
	}
	v, err := strconv.ParseInt(strings.Trim(strings.TrimPrefix(s, "W/"), `"`), 10, 64)
	if err != nil || v < 1 {
		return 0, &graph.Error{Code: graph.CodeValidation, Field: name, Message: name + `: must be the version that you read, such as "3" (the ETag)`}
	}
	return v, nil
}

// object reads a body that is a JSON object; an empty one stands for {}.
func (c call) object() (map[string]any, bool) {
	var out map[string]any
	dec := json.NewDecoder(c.r.Body)
	dec.UseNumber()
	err := dec.Decode(&out)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more follows the object")
		} else if out == nil {
			err = errors.New("it is null")
		}
	}
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, io.EOF):
		return map[string]any{}, true
	case errors.As(err, &large):
		writeError(c.w, http.StatusRequestEntityTooLarge, "too_large", "body", fmt.Sprintf("the body is larger than %d bytes", large.Limit))
	case err != nil:
		writeError(c.w, http.StatusBadRequest, "invalid_json", "body", "the body must be one JSON object: "+err.Error())
	default:
		return out, true
	}
	return nil, false
}

func writeRaw(w http.ResponseWriter, status int, b []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) //nolint:gosec // JSON, and sent as such; the client is gone when this fails
}
