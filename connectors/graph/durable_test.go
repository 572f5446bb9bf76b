package graph_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/connectors/graph"
)

// dump writes everything that a tenant's entities and events say.
func dump(t testing.TB, g *graph.Scope) string {
	t.Helper()
	var b bytes.Buffer
	if err := g.Export(t.Context(), &b, graph.AsOf{}); err != nil {
		t.Fatal(err)
	}
	after := graph.AsOf{}
	for {
		events, err := g.Events(t.Context(), graph.EventQuery{After: after, Forward: true, Limit: graph.MaxEvents})
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return b.String()
		}
		for _, e := range events {
			raw, err := e.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s\n", raw)
			after.Seq = e.Seq
		}
	}
}

// fill makes a few entities with some history.
func fill(t testing.TB, g *graph.Scope, n int) {
	t.Helper()
	for i := range n {
		e := must(t)(g.Create(t.Context(), "Contact", fields{"name": fmt.Sprint(i), "email": fmt.Sprintf("%d@example.com", i)}))
		must(t)(g.Verb(t.Context(), "Contact", "qualify", e.ID, nil))
		if i%3 == 0 {
			if err := g.Delete(t.Context(), "Contact", e.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestARestartFindsEverything(t *testing.T) {
	n := startNATS(t)
	dir := filepath.Join(t.TempDir(), "graph")
	at := func(c *graph.Config) { c.Dir = dir }
	first, err := graph.Open(t.Context(), config(t, n, at))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, scope(t, first, "acme"), 9)
	want := dump(t, scope(t, first, "acme"))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	n.stop()
	n.start(t)
	second := open(t, n, at)
	if got := dump(t, scope(t, second, "acme")); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	fill(t, scope(t, second, "other"), 1)
}

func TestAProjectionThatIsGoneOrStrangeIsBuiltAnew(t *testing.T) {
	n := startNATS(t)
	dir := filepath.Join(t.TempDir(), "graph")
	at := func(c *graph.Config) { c.Dir = dir }
	reopen := func(cfg graph.Config) string {
		s, err := graph.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return dump(t, scope(t, s, "acme"))
	}
	first, err := graph.Open(t.Context(), config(t, n, at))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, scope(t, first, "acme"), 6)
	want := dump(t, scope(t, first, "acme"))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for name, harm := range map[string]func() error{
		"deleted": func() error { return os.RemoveAll(dir) },
		"garbage": func() error {
			files, err := filepath.Glob(filepath.Join(dir, "*.db"))
			if err != nil || len(files) != 1 {
				return fmt.Errorf("files %v: %w", files, err)
			}
			return os.WriteFile(files[0], bytes.Repeat([]byte("x"), 9000), 0o600)
		},
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		if got := reopen(config(t, n, at)); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
	other := startNATS(t)
	if got := reopen(config(t, other, at)); got != "" {
		t.Errorf("another log: got\n%s", got)
	}
	types, err := graph.BuiltinTypes().With("mine.yaml", []byte("Shipment:\n  domain: shop\n  fields:\n    number: string##\n"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t, n, at)
	cfg.Types = types
	if got := reopen(cfg); got != want {
		t.Errorf("more types: got\n%s\nwant\n%s", got, want)
	}
}

func TestRebuildAnswersMeanwhileAndEndsEqual(t *testing.T) {
	s, g := acme(t)
	fill(t, g, 30)
	want := dump(t, g)
	var told []graph.Progress
	if err := s.Rebuild(t.Context(), func(p graph.Progress) { told = append(told, p) }); err != nil {
		t.Fatal(err)
	}
	if got := dump(t, g); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if last := told[len(told)-1]; last.Done != last.Total || last.Total == 0 {
		t.Errorf("got progress %+v", told)
	}
	stop, written := make(chan struct{}), make(chan int)
	go func() {
		count := 0
		for {
			select {
			case <-stop:
				written <- count
				return
			default:
			}
			e, err := g.Create(background(), "Deal", fields{"name": "during"})
			if err == nil {
				_, err = g.Get(background(), "Deal", e.ID, graph.AsOf{})
			}
			if err != nil {
				t.Errorf("write %d during a rebuild: %v", count, err)
			}
			count++
		}
	}()
	for range 3 {
		if err := s.Rebuild(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	count := <-written
	if got := strings.Count(dump(t, g), `"$type":"Deal"`); got != count {
		t.Errorf("got %d deals, want %d", got, count)
	}
}

func TestTwoStoresOverOneLogAgree(t *testing.T) {
	n := startNATS(t)
	a, b := open(t, n, nil), open(t, n, nil)
	fill(t, scope(t, a, "acme"), 8)
	fill(t, scope(t, b, "other"), 4)
	e := must(t)(scope(t, b, "acme").Create(t.Context(), "Deal", fields{"name": "from b"}))
	for _, s := range []*graph.Store{a, b} {
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	must(t)(scope(t, a, "acme").Verb(t.Context(), "Deal", "win", e.ID, nil))
	if err := b.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tenant := range []string{"acme", "other"} {
		got, want := dump(t, scope(t, a, tenant)), dump(t, scope(t, b, tenant))
		if got != want || got == "" {
			t.Errorf("%s: the stores differ:\n%s\n%s", tenant, got, want)
		}
	}
}

func TestExportAndImportCarryATenant(t *testing.T) {
	s, g := acme(t)
	ctx := t.Context()
	fill(t, g, 7)
	customer := must(t)(g.Create(ctx, "Customer", fields{"name": "C", "email": "c@example.com"}))
	must(t)(g.Create(ctx, "Subscription", fields{"customer": customer.ID, "plan": "pro"}))
	must(t)(g.Create(ctx, "Event", fields{"type": "signup"}))
	var file bytes.Buffer
	if err := g.Export(ctx, &file, graph.AsOf{}); err != nil {
		t.Fatal(err)
	}
	other := scope(t, s, "other")
	rep, err := other.Import(ctx, bytes.NewReader(file.Bytes()), graph.ImportOptions{})
	if err != nil || rep.Created != 7 || rep.Failed != 0 {
		t.Fatalf("first import: got %+v, %v", rep, err)
	}
	rep, err = other.Import(ctx, bytes.NewReader(file.Bytes()), graph.ImportOptions{})
	if err != nil || rep.Unchanged != 7 || rep.Failed != 0 {
		t.Errorf("second import: got %+v, %v", rep, err)
	}
	got := must(t)(other.Get(ctx, "Customer", customer.ID, graph.AsOf{}))
	if show(got) != show(customer) {
		t.Errorf("got %s, want %s", show(got), show(customer))
	}
}

func TestALineAtFaultCostsNoOther(t *testing.T) {
	_, g := acme(t)
	lines := []string{
		`{"$type":"Contact","name":"A","email":"a@example.com"}`,
		`{"$type":"Contact","name":"B","email":"a@example.com"}`,
		`not json`,
		``,
		`{"name":"D"}`,
		`{"$type":"Nothing","name":"E"}`,
		`{"$type":"Contact","$id":"contact_hV6nRxWm","name":"F"}`,
		`{"$type":"Contact","$id":"contact_hV6nRxWm","name":"F","phone":"1"}`,
		`{"$type":"Contact","$id":"deal_hV6nRxWm","name":"G"}`,
	}
	rep, err := g.Import(t.Context(), strings.NewReader(strings.Join(lines, "\n")), graph.ImportOptions{Type: "Deal"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range rep.Faults {
		got = append(got, fmt.Sprintf("%d %s", f.Line, f.Err.Code))
	}
	for _, want := range []string{"2 conflict", "3 invalid_json", "6 not_found", "9 validation_failed"} {
		if !strings.Contains(strings.Join(got, ", "), want) {
			t.Errorf("got faults %v, want %s", got, want)
		}
	}
	if rep.Lines != 9 || rep.Created != 3 || rep.Updated != 1 || rep.Failed != 4 {
		t.Errorf("got %+v", rep)
	}
}
