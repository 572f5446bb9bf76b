package graph_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/headlessly/headlessly/connectors/graph"
)

func TestAUniqueValueBelongsToOneEntity(t *testing.T) {
	s, g := acme(t)
	ctx := t.Context()
	ada := must(t)(g.Create(ctx, "Contact", fields{"name": "Ada", "email": "a@example.com"}))

	_, err := g.Create(ctx, "Contact", fields{"name": "Eve", "email": "a@example.com"})
	e, ok := err.(*graph.Error)
	if !ok || e.Code != graph.CodeConflict || e.Field != "email" || e.ID != ada.ID {
		t.Fatalf("a second owner: got %v", err)
	}
	bob := must(t)(g.Create(ctx, "Contact", fields{"name": "Bob", "email": "b@example.com"}))
	_, err = g.Update(ctx, "Contact", bob.ID, fields{"email": "a@example.com"})
	wantCode(t, "taken by an update", err, graph.CodeConflict)
	must(t)(g.Create(ctx, "Contact", fields{"name": "No mail 1"}))
	must(t)(g.Create(ctx, "Contact", fields{"name": "No mail 2", "email": ""}))
	must(t)(g.Create(ctx, "Contact", fields{"name": "No mail 3", "email": ""}))
	must(t)(scope(t, s, "other").Create(ctx, "Contact", fields{"name": "Ada", "email": "a@example.com"}))

	must(t)(g.Update(ctx, "Contact", ada.ID, fields{"email": "c@example.com"}))
	must(t)(g.Update(ctx, "Contact", bob.ID, fields{"email": "a@example.com"}))
	_, err = g.Rollback(ctx, "Contact", ada.ID, 1)
	wantCode(t, "rollback to a value that has a new owner", err, graph.CodeConflict)

	if err := g.Delete(ctx, "Contact", bob.ID); err != nil {
		t.Fatal(err)
	}
	must(t)(g.Rollback(ctx, "Contact", ada.ID, 1))
	_, err = g.Rollback(ctx, "Contact", bob.ID, 0)
	wantCode(t, "bringing back the deleted, whose value is taken", err, graph.CodeConflict)
	must(t)(g.Update(ctx, "Contact", ada.ID, fields{"email": nil}))
	back := must(t)(g.Rollback(ctx, "Contact", bob.ID, 0))
	if back.Text("email") != "a@example.com" {
		t.Errorf("got %s", show(back))
	}
}

func TestOneOfManyWritersGetsAUniqueValue(t *testing.T) {
	n := startNATS(t)
	stores := []*graph.Store{open(t, n, nil), open(t, n, nil)}
	const writers, values = 16, 5
	for v := range values {
		var mu sync.Mutex
		var won []string
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				g := scope(t, stores[w%2], "acme")
				e, err := g.Create(t.Context(), "Contact", fields{"name": fmt.Sprint(w), "email": fmt.Sprintf("%d@example.com", v)})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, e.ID)
				} else if graph.CodeOf(err) != graph.CodeConflict {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if len(won) != 1 {
			t.Errorf("value %d: got owners %v", v, won)
		}
	}
}

func TestMutationsOfOneEntityNeverLoseEachOther(t *testing.T) {
	n := startNATS(t)
	stores := []*graph.Store{open(t, n, nil), open(t, n, nil)}
	first := scope(t, stores[0], "acme")
	e := must(t)(first.Create(t.Context(), "Campaign", fields{"name": "A"}))
	const writers, each = 6, 8
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			g := scope(t, stores[w%2], "acme")
			for i := range each {
				if _, err := g.Verb(t.Context(), "Campaign", "add", e.ID, fields{"contact": fmt.Sprintf("%d-%d", w, i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for _, s := range stores {
		// The other store's last write may be on its way here still.
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := must(t)(scope(t, s, "acme").Get(t.Context(), "Campaign", e.ID, graph.AsOf{}))
		list, _ := got.Fields()["contacts"].([]any)
		if got.Version != 1+writers*each || len(list) != writers*each {
			t.Errorf("got version %d with %d contacts, want %d", got.Version, len(list), writers*each)
		}
	}
}

func TestAVersionThatHasPassedIsRefused(t *testing.T) {
	_, g := acme(t)
	ctx := t.Context()
	e := must(t)(g.Create(ctx, "Deal", fields{"name": "A"}))
	if _, err := g.Do(ctx, graph.Op{Type: "Deal", Verb: "update", ID: e.ID, IfVersion: 1, Args: fields{"value": 1}}); err != nil {
		t.Fatal(err)
	}
	_, err := g.Do(ctx, graph.Op{Type: "Deal", Verb: "update", ID: e.ID, IfVersion: 1, Args: fields{"value": 2}})
	wantCode(t, "update of version 1", err, graph.CodeVersionMismatch)
	_, err = g.Do(ctx, graph.Op{Type: "Deal", Verb: "delete", ID: e.ID, IfVersion: 1})
	wantCode(t, "delete of version 1", err, graph.CodeVersionMismatch)
	if _, err := g.Do(ctx, graph.Op{Type: "Deal", Verb: "win", ID: e.ID, IfVersion: 2}); err != nil {
		t.Error(err)
	}
}

func TestABatchAnswersEachOperation(t *testing.T) {
	_, g := acme(t)
	ctx := t.Context()
	ada := must(t)(g.Create(ctx, "Contact", fields{"name": "Ada", "email": "a@example.com"}))
	out, err := g.Batch(ctx, []graph.Op{
		{Type: "Contact", Verb: "create", Args: fields{"name": "Bob", "email": "b@example.com"}},
		{Type: "Contact", Verb: "create", Args: fields{"name": "Bob again", "email": "b@example.com"}},
		{Type: "Contact", Verb: "qualify", ID: ada.ID},
		{Type: "Contact", Verb: "update", ID: ada.ID, Args: fields{"email": "c@example.com"}},
		{Type: "Contact", Verb: "create", Args: fields{"name": "Takes Ada's", "email": "a@example.com"}},
		{Type: "Contact", Verb: "create", Args: fields{}},
		{Type: "Contact", Verb: "update", ID: ada.ID, Args: fields{"email": "c@example.com"}},
		{Type: "Contact", Verb: "delete", ID: ada.ID, IfVersion: 3},
		{Type: "Contact", Verb: "get", ID: ada.ID},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range out {
		switch {
		case r.Err != nil:
			got = append(got, string(graph.CodeOf(r.Err)))
		case r.Event == nil:
			got = append(got, "unchanged")
		default:
			got = append(got, r.Event.Name)
		}
	}
	want := "Contact.Created conflict Contact.Qualified Contact.Updated Contact.Created validation_failed unchanged Contact.Deleted not_found"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	if _, err := g.Batch(ctx, make([]graph.Op, graph.MaxOps+1)); graph.CodeOf(err) != graph.CodeTooLarge {
		t.Errorf("too many: got %v", err)
	}
}
