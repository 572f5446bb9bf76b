package control

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
)

// runExport writes the tenant's entities as NDJSON: those of the types named in
// type, or all but the keys, as they are now or were at asOf.
func (p *Plane) runExport(c call) {
	v := c.r.URL.Query()
	var at graph.AsOf
	var err error
	if s := v.Get("asOf"); s != "" {
		at, err = asOf(s)
	}
	types := list(v.Get("type"))
	for _, name := range types {
		if err == nil {
			_, err = p.cfg.Graph.Types().Lookup(name)
		}
	}
	if len(types) == 0 {
		types = Movable(p.cfg.Graph.Types())
	}
	scope, fault := p.cfg.Graph.Scope(c.tenant, c.key.ID)
	if err == nil {
		err = fault
	}
	if err != nil {
		p.fail(c, err)
		return
	}
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Time{}) // as long as it takes
	out := &lateHeader{w: c.w, contentType: ndjson}
	switch err := scope.Export(c.r.Context(), out, at, types...); {
	case err == nil:
		out.start()
	case out.started: // cut, so that the client sees that it is not whole
		p.cfg.Logger.Warn("control.export_cut", slog.Any("error", err))
		panic(http.ErrAbortHandler)
	default:
		p.fail(c, err)
	}
}

const ndjson = "application/x-ndjson"

// Movable are the types that an export holds unless it names some: every one
// but the keys, whose values nobody has.
func Movable(types *graph.Types) []string {
	var out []string
	for _, t := range types.All() {
		if t.Name != apiKeyType {
			out = append(out, t.Name)
		}
	}
	return out
}

// Imported is the answer to an import.
type Imported struct {
	Lines     int                 `json:"lines"`
	Created   int                 `json:"created"`
	Updated   int                 `json:"updated"`
	Unchanged int                 `json:"unchanged"`
	Failed    int                 `json:"failed"`
	Faults    []graph.ImportFault `json:"faults"` // the first thousand
}

// Report gives an import's report the form of an answer.
func Report(r graph.ImportReport) Imported {
	out := Imported{r.Lines, r.Created, r.Updated, r.Unchanged, r.Failed, r.Faults}
	if out.Faults == nil {
		out.Faults = []graph.ImportFault{}
	}
	return out
}

// runImport reads NDJSON as export writes it. A line whose $id is known
// updates that entity. The body is read as fast as it is stored.
func (p *Plane) runImport(c call) {
	scope, err := p.cfg.Graph.Scope(c.tenant, c.key.ID)
	if err != nil {
		p.fail(c, err)
		return
	}
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{}) // as long as it takes
	rep, err := scope.Import(c.r.Context(), c.r.Body, graph.ImportOptions{Type: c.r.URL.Query().Get("type")})
	if err != nil {
		e := *p.known(c, err)
		if e.Code == graph.CodeInternal {
			e = graph.Error{Code: graph.CodeInvalidJSON, Field: "body", Message: err.Error()}
		}
		e.Message += "; the lines before it were taken, and the same file can be sent again"
		p.refuse(c, &e)
		return
	}
	writeJSON(c.w, http.StatusOK, Report(rep))
}

// rebuild builds the graph's projection anew while the old one goes on
// answering. It wants an admin key: the projection is every tenant's. The
// answer is NDJSON: how far it has come, a few times a second.
func (p *Plane) rebuild(c call) {
	if c.key.Kind != headlessly.KeyAdmin {
		writeError(c.w, http.StatusForbidden, "forbidden", "key", "the projection holds every tenant's entities: it wants an admin key (hly_admin_…)")
		return
	}
	c.w.Header().Set("Content-Type", ndjson)
	c.w.WriteHeader(http.StatusOK)
	enc := json.NewEncoder(c.w)
	flush := http.NewResponseController(c.w)
	err := p.cfg.Graph.Rebuild(c.r.Context(), func(pr graph.Progress) {
		_ = enc.Encode(map[string]uint64{"done": pr.Done, "total": pr.Total})
		_ = flush.Flush()
	})
	if err != nil {
		_ = enc.Encode(p.known(c, err))
	}
}
