package graph_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/headlessly/headlessly/connectors/graph"
)

// model is what a graph of contacts should be, kept in memory.
type model struct {
	ids      []string // in the order of creation
	versions map[string][]modelState
	history  []string    // events in order
	marks    []modelMark // the living after each event
}

type modelState struct {
	fields  map[string]any
	deleted bool
}

type modelMark struct {
	seq    uint64
	export string
}

func (m *model) now(id string) *modelState {
	v := m.versions[id]
	if len(v) == 0 {
		return nil
	}
	return &v[len(v)-1]
}

// owner is the living contact with this email.
func (m *model) owner(email any) string {
	for _, id := range m.ids {
		if s := m.now(id); !s.deleted && email != nil && s.fields["email"] == email {
			return id
		}
	}
	return ""
}

// change does what the graph should do, and gives the code of the refusal. It
// changes nothing before the graph has answered, which names new ids.
func (m *model) change(op graph.Op) (next modelState, event string, code graph.Code) {
	now := m.now(op.ID)
	if op.Verb != graph.VerbCreate {
		switch {
		case now == nil, now.deleted && op.Verb != graph.VerbRollback:
			return next, "", graph.CodeNotFound
		case op.IfVersion != 0 && op.IfVersion != int64(len(m.versions[op.ID])):
			return next, "", graph.CodeVersionMismatch
		}
		next.fields = maps.Clone(now.fields)
	} else {
		next.fields = map[string]any{}
	}
	switch op.Verb {
	case graph.VerbCreate:
		event = "Contact.Created"
	case graph.VerbUpdate:
		event = "Contact.Updated"
	case "qualify":
		event = "Contact.Qualified"
		next.fields["stage"] = "Qualified"
	case graph.VerbDelete:
		return modelState{now.fields, true}, "Contact.Deleted", ""
	case graph.VerbRollback:
		event = "Contact.RolledBack"
		version := int(op.Version)
		if version == 0 {
			version = len(m.versions[op.ID]) - 1
		}
		if version < 1 || version > len(m.versions[op.ID]) || m.versions[op.ID][version-1].deleted {
			return next, "", graph.CodeValidation
		}
		next.fields = maps.Clone(m.versions[op.ID][version-1].fields)
	}
	for k, v := range op.Args {
		if v == nil {
			delete(next.fields, k)
		} else {
			next.fields[k] = v
		}
	}
	if o := m.owner(next.fields["email"]); o != "" && o != op.ID {
		return next, "", graph.CodeConflict
	}
	if op.Verb == graph.VerbUpdate && equalFields(now.fields, next.fields) {
		event = ""
	}
	return next, event, ""
}

func equalFields(a, b map[string]any) bool {
	return maps.EqualFunc(a, b, func(x, y any) bool { return fmt.Sprint(x) == fmt.Sprint(y) })
}

// export writes the living as lines of id, version and fields, by id.
func (m *model) export() string {
	var lines []string
	for _, id := range m.ids {
		if s := m.now(id); !s.deleted {
			raw, err := json.Marshal(s.fields)
			if err != nil {
				panic(err)
			}
			lines = append(lines, fmt.Sprintf("%s %d %s", id, len(m.versions[id]), raw))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// exported is the same of a graph, at a moment.
func exported(t testing.TB, g *graph.Scope, at graph.AsOf) string {
	t.Helper()
	var b bytes.Buffer
	if err := g.Export(t.Context(), &b, at, "Contact"); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		head := fmt.Sprintf("%s %v ", m["$id"], m["$version"])
		maps.DeleteFunc(m, func(k string, _ any) bool { return strings.HasPrefix(k, "$") })
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, head+string(raw))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// writer is one process over the shared log, with a projection of its own.
type writer struct {
	n     *natsServer
	dir   string
	store *graph.Store
	old   string // a copy of the projection as it once was
}

func (w *writer) open(t testing.TB) {
	t.Helper()
	s, err := graph.Open(t.Context(), config(t, w.n, func(c *graph.Config) { c.Dir = w.dir }))
	if err != nil {
		t.Fatal(err)
	}
	w.store = s
}

// crash stops the process; what it finds afterwards is a projection as it was
// at its start, some while ago, or at the last crash: a power cut may take back
// as much as that.
func (w *writer) crash(t testing.TB) {
	t.Helper()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	now := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(now, os.DirFS(w.dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(w.dir); err != nil {
		t.Fatal(err)
	}
	if w.old != "" {
		if err := os.CopyFS(w.dir, os.DirFS(w.old)); err != nil {
			t.Fatal(err)
		}
	}
	w.old = now
	w.open(t)
}

// TestTheGraphIsItsModel performs random operations through two processes over
// one log, with crashes and rebuilds between them, and compares every answer,
// the states, the history, and the state at each moment with a model in memory.
func TestTheGraphIsItsModel(t *testing.T) {
	seeds, steps := []uint64{1, 2}, 220
	if s := os.Getenv("GRAPH_SEED"); s != "" { // to run one again
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = []uint64{n}
	} else if os.Getenv("HEADLESSLY_SOAK") != "" {
		seeds, steps = nil, 2000
		for i := range uint64(20) {
			seeds = append(seeds, 100+i)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("GRAPH_SEED=%d", seed), func(t *testing.T) { againstModel(t, seed, steps) })
	}
}

func againstModel(t *testing.T, seed uint64, steps int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // repeatable on purpose
	n := startNATS(t)
	writers := []*writer{{n: n, dir: filepath.Join(t.TempDir(), "a")}, {n: n, dir: filepath.Join(t.TempDir(), "b")}}
	for _, w := range writers {
		w.open(t)
		t.Cleanup(func() { _ = w.store.Close() })
	}
	m := &model{versions: map[string][]modelState{}}
	for step := range steps {
		w := writers[rnd.IntN(len(writers))]
		switch rnd.IntN(60) {
		case 0:
			w.crash(t)
		case 1:
			if err := w.store.Rebuild(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		op := randomOp(rnd, m)
		next, event, want := m.change(op)
		res, err := scope(t, w.store, "acme").Do(t.Context(), op)
		if got := graph.CodeOf(err); got != want {
			t.Fatalf("step %d: %+v: got %v, want %q", step, op, err, want)
		}
		if want != "" || event == "" {
			continue
		}
		if res.Event == nil || res.Event.Name != event {
			t.Fatalf("step %d: %+v: got event %+v, want %s", step, op, res.Event, event)
		}
		id := res.Entity.ID
		if op.Verb == graph.VerbCreate {
			m.ids = append(m.ids, id)
		}
		m.versions[id] = append(m.versions[id], next)
		m.history = append(m.history, fmt.Sprintf("%s %s@%d", event, id, len(m.versions[id])))
		m.marks = append(m.marks, modelMark{res.Event.Seq, m.export()})
	}
	for i, w := range writers {
		if err := w.store.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		compare(t, fmt.Sprintf("process %d", i), scope(t, w.store, "acme"), m)
	}
	if a, b := dump(t, scope(t, writers[0].store, "acme")), dump(t, scope(t, writers[1].store, "acme")); a != b {
		t.Error("the two processes do not agree to the byte")
	}
}

func compare(t *testing.T, name string, g *graph.Scope, m *model) {
	t.Helper()
	if got, want := exported(t, g, graph.AsOf{}), m.export(); got != want {
		t.Fatalf("%s: states: got\n%s\nwant\n%s", name, got, want)
	}
	var history []string
	for after := uint64(0); ; {
		events, err := g.Events(t.Context(), graph.EventQuery{After: graph.AsOf{Seq: after}, Forward: true, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			history = append(history, fmt.Sprintf("%s %s@%d", e.Name, e.Target, e.Version))
			after = e.Seq
		}
		if len(events) == 0 {
			break
		}
	}
	if !slices.Equal(history, m.history) {
		t.Fatalf("%s: histories differ: got\n%s\nwant\n%s", name, strings.Join(history, "\n"), strings.Join(m.history, "\n"))
	}
	for _, mark := range m.marks {
		if got := exported(t, g, graph.AsOf{Seq: mark.seq}); got != mark.export {
			t.Fatalf("%s: as of %d: got\n%s\nwant\n%s", name, mark.seq, got, mark.export)
		}
	}
}

func randomOp(rnd *rand.Rand, m *model) graph.Op {
	op := graph.Op{Type: "Contact", Verb: graph.VerbCreate}
	values := func() map[string]any {
		f := map[string]any{}
		if rnd.IntN(2) == 0 {
			f["email"] = fmt.Sprintf("%d@example.com", rnd.IntN(8)) // few, so that they clash
		}
		if rnd.IntN(2) == 0 {
			f["leadScore"] = rnd.IntN(3)
		}
		if rnd.IntN(4) == 0 {
			f["phone"] = nil
		} else {
			f["phone"] = strconv.Itoa(rnd.IntN(3))
		}
		return f
	}
	if len(m.ids) == 0 || rnd.IntN(6) == 0 {
		op.Args = values()
		op.Args["name"] = strconv.Itoa(rnd.IntN(1000))
		maps.DeleteFunc(op.Args, func(_ string, v any) bool { return v == nil })
		return op
	}
	op.ID = m.ids[rnd.IntN(len(m.ids))]
	if rnd.IntN(5) == 0 {
		op.IfVersion = int64(max(1, len(m.versions[op.ID])-rnd.IntN(2)))
	}
	switch rnd.IntN(9) {
	case 0, 1, 2:
		op.Verb, op.Args = graph.VerbUpdate, values()
	case 3, 4:
		op.Verb = "qualify"
	case 5:
		op.Verb = graph.VerbDelete
	default:
		op.Verb = graph.VerbRollback
		if rnd.IntN(2) == 0 {
			op.Version = int64(1 + rnd.IntN(len(m.versions[op.ID])))
		}
	}
	return op
}

// TestTwoWritersAtOnceComeToOneHistory has two processes change the same few
// entities at the same time.
func TestTwoWritersAtOnceComeToOneHistory(t *testing.T) {
	n := startNATS(t)
	a, b := open(t, n, nil), open(t, n, nil)
	var ids []string
	for i := range 4 {
		ids = append(ids, must(t)(scope(t, a, "acme").Create(t.Context(), "Contact", fields{"name": fmt.Sprint(i), "score": 0})).ID)
	}
	var wg sync.WaitGroup
	for i, s := range []*graph.Store{a, b} {
		g := scope(t, s, "acme")
		for range 3 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(i), 1)) //nolint:gosec // repeatable on purpose
				for k := range 40 {
					_, err := g.Update(t.Context(), "Contact", ids[rnd.IntN(len(ids))], fields{"by": fmt.Sprintf("%d-%d", i, k)})
					if err != nil && graph.CodeOf(err) != graph.CodeConflict {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for _, s := range []*graph.Store{a, b} {
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if x, y := dump(t, scope(t, a, "acme")), dump(t, scope(t, b, "acme")); x != y {
		t.Error("the two processes do not agree")
	}
	for _, id := range ids {
		events, err := scope(t, a, "acme").Events(t.Context(), graph.EventQuery{Entity: id, Forward: true, Limit: graph.MaxEvents})
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range events {
			if e.Version != int64(i+1) {
				t.Errorf("%s: event %d has version %d", id, i, e.Version)
			}
		}
	}
}
