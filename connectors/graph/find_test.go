package graph_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
)

// people are the entities that the filters below choose from, by name.
func people(t testing.TB, g *graph.Scope) (now graph.AsOf) {
	t.Helper()
	for _, f := range []fields{
		{"name": "ada", "stage": "Lead", "leadScore": 5, "email": "ada@example.com", "tags": []any{"a", "b"}, "address": fields{"city": "Bern"}},
		{"name": "bob", "stage": "Customer", "leadScore": 10.5, "vip": true, "tags": "a"},
		{"name": "cyd", "stage": "Customer", "leadScore": 20, "vip": false, "phone": "20", "tags": []any{1, 2}},
		{"name": "dan", "email": "dan@example.org", "phone": "9", "mixed": 7},
		{"name": "eve", "stage": "Churned", "mixed": "7", "status": "on", "address": fields{"city": "Rome"}},
	} {
		now.Seq = must(t)(g.Create(t.Context(), "Contact", f)).Seq
	}
	return now
}

// names are what a query finds, in its order.
func names(t testing.TB, g *graph.Scope, q graph.Query) string {
	t.Helper()
	q.Type = "Contact"
	page, err := g.Find(t.Context(), q)
	if err != nil {
		t.Fatalf("%v: %v", q.Filter, err)
	}
	var out []string
	for _, e := range page.Results {
		out = append(out, e.Text("name"))
	}
	return strings.Join(out, " ")
}

func filter(t testing.TB, s string) fields {
	t.Helper()
	var f fields
	if err := json.Unmarshal([]byte(s), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilters(t *testing.T) {
	_, g := acme(t)
	now := people(t, g)
	for _, tc := range []struct{ filter, want string }{
		{`{}`, "ada bob cyd dan eve"},
		{`{"name":"ada"}`, "ada"},
		{`{"stage":"Customer"}`, "bob cyd"},
		{`{"stage":{"$ne":"Customer"}}`, "ada dan eve"},
		{`{"stage":{"$in":["Lead","Churned"]}}`, "ada eve"},
		{`{"stage":{"$nin":["Lead","Churned"]}}`, "bob cyd dan"},
		{`{"stage":null}`, "dan"},
		{`{"stage":{"$in":[null,"Lead"]}}`, "ada dan"},
		{`{"stage":{"$exists":true}}`, "ada bob cyd eve"},
		{`{"phone":{"$exists":false}}`, "ada bob eve"},
		{`{"leadScore":{"$gt":5}}`, "bob cyd"},
		{`{"leadScore":{"$gte":5,"$lt":20}}`, "ada bob"},
		{`{"leadScore":{"$lte":10.5}}`, "ada bob"},
		{`{"leadScore":10.5}`, "bob"},
		{`{"phone":{"$gt":"2"}}`, "cyd dan"},
		{`{"phone":{"$gt":2}}`, ""},
		{`{"mixed":7}`, "dan"},
		{`{"mixed":"7"}`, "eve"},
		{`{"vip":true}`, "bob"},
		{`{"vip":false}`, "cyd"},
		{`{"vip":{"$ne":true}}`, "ada cyd dan eve"},
		{`{"tags":"a"}`, "ada bob"},
		{`{"tags":{"$in":["b",2]}}`, "ada cyd"},
		{`{"tags":{"$ne":"a"}}`, "cyd dan eve"},
		{`{"address.city":"Bern"}`, "ada"},
		{`{"email":{"$regex":"@example\\.(com|net)$"}}`, "ada"},
		{`{"name":{"$regex":"^(?i)[A-C]"}}`, "ada bob cyd"},
		{`{"email":{"$not":{"$regex":"org"}}}`, "ada bob cyd eve"},
		{`{"$or":[{"name":"ada"},{"leadScore":20}]}`, "ada cyd"},
		{`{"$and":[{"stage":"Customer"},{"$not":{"vip":true}}]}`, "cyd"},
		{`{"stage":"Customer","vip":true}`, "bob"},
		{`{"$version":1,"$createdBy":"apikey_test"}`, "ada bob cyd dan eve"},
		{`{"$createdAt":{"$lt":"2020-01-01"}}`, ""},
		{`{"name":"x' or 1=1 --"}`, ""},
		{`{"a') or 1=1 --":"x"}`, ""},
	} {
		q := graph.Query{Filter: filter(t, tc.filter), Sort: []string{"name"}}
		if got := names(t, g, q); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.filter, got, tc.want)
		}
		q.AsOf = now
		if got := names(t, g, q); got != tc.want {
			t.Errorf("%s in the past: got %q, want %q", tc.filter, got, tc.want)
		}
	}
}

func TestAFilterAtFaultIsNamed(t *testing.T) {
	_, g := acme(t)
	people(t, g)
	for _, tc := range []struct{ filter, want string }{
		{`{"name":{"$like":"a"}}`, "$eq $ne $gt $gte $lt $lte $in $nin $exists $regex $not"},
		{`{"$nor":[]}`, "$and"},
		{`{"name":{}}`, "compares nothing"},
		{`{"name":{"$in":"a"}}`, "wants a list"},
		{`{"name":{"$regex":"("}}`, "$regex"},
		{`{"name":{"$exists":1}}`, "wants true or false"},
		{`{"name":{"$gt":true}}`, "compares with a number"},
		{`{"name":["a"]}`, "dotted name"},
		{`{"$or":{}}`, "want a list"},
		{`{"$createdAt":{"$gt":"soon"}}`, "want a time"},
		{`{"subscriptions":"x"}`, "not stored"},
	} {
		_, err := g.Find(t.Context(), graph.Query{Type: "Contact", Filter: filter(t, tc.filter)})
		if graph.CodeOf(err) != graph.CodeInvalidFilter || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.filter, err, tc.want)
		}
	}
	for name, q := range map[string]graph.Query{
		"limit":          {Limit: 101},
		"negative limit": {Limit: -1},
		"offset":         {Offset: -1},
		"cursor":         {Cursor: "x"},
		"sort":           {Sort: []string{`a"b`}},
	} {
		q.Type = "Contact"
		_, err := g.Find(t.Context(), q)
		wantCode(t, name, err, graph.CodeInvalidFilter)
	}
}

func TestOrderAndPages(t *testing.T) {
	_, g := acme(t)
	now := people(t, g)
	for _, tc := range []struct{ sort, want string }{
		{"", "eve dan cyd bob ada"},
		{"createdAt", "ada bob cyd dan eve"},
		{"-name", "eve dan cyd bob ada"},
		{"leadScore,name", "dan eve ada bob cyd"},
		{"-leadScore,-name", "cyd bob ada eve dan"},
		{"-stage,name", "ada bob cyd eve dan"},
		{"address.city,-name", "dan cyd bob ada eve"},
	} {
		q := graph.Query{Limit: 2}
		if tc.sort != "" {
			q.Sort = strings.Split(tc.sort, ",")
		}
		for _, q.AsOf = range []graph.AsOf{{}, now} {
			var got []string
			for q.Cursor = ""; ; {
				q.Type = "Contact"
				page, err := g.Find(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page.Results {
					got = append(got, e.Text("name"))
				}
				if page.Total != 5 || page.HasMore != (page.Cursor != "") {
					t.Errorf("got page %+v", page)
				}
				if q.Cursor = page.Cursor; !page.HasMore {
					break
				}
			}
			if s := strings.Join(got, " "); s != tc.want {
				t.Errorf("%s: got %q, want %q", tc.sort, s, tc.want)
			}
		}
	}
	if got := names(t, g, graph.Query{Sort: []string{"name"}, Limit: 2, Offset: 3}); got != "dan eve" {
		t.Errorf("offset: got %q", got)
	}
}

func TestAGroupStandsForItsValues(t *testing.T) {
	_, g := acme(t)
	for _, status := range []string{"Connected", "Synced", "Syncing", "Errored", "Disconnected"} {
		must(t)(g.Create(t.Context(), "Integration", fields{"provider": "p", "status": status}))
	}
	n, err := g.Count(t.Context(), "Integration", fields{"status": "Active"}, graph.AsOf{})
	if err != nil || n != 3 {
		t.Errorf("got %d, %v; want 3", n, err)
	}
}

func TestAnIncludeThatIsCutSaysSo(t *testing.T) {
	_, g := acme(t)
	customer := must(t)(g.Create(t.Context(), "Customer", fields{"name": "Ada", "email": "ada@example.com"}))
	var ops []graph.Op
	for range 103 {
		ops = append(ops, graph.Op{Type: "Subscription", Verb: graph.VerbCreate, Args: fields{"customer": customer.ID}})
	}
	results, err := g.Batch(t.Context(), ops)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]any, 0, len(results))
	for _, r := range results {
		all = append(all, r.Entity.ID)
	}
	project := must(t)(g.Create(t.Context(), "Project", fields{"name": "P", "slug": "p", "members": all}))
	for _, row := range []struct {
		name, id, field string
		asOf            graph.AsOf
		shown           int
		left            any
	}{
		{"a back reference", customer.ID, "subscriptions", graph.AsOf{}, 100, 3.0},
		{"in the past", customer.ID, "subscriptions", graph.AsOf{Seq: results[101].Event.Seq}, 100, 2.0},
		{"a whole one", customer.ID, "subscriptions", graph.AsOf{Seq: results[99].Event.Seq}, 100, nil},
		{"a list, of which the ids stay", project.ID, "members", graph.AsOf{}, 103, 3.0},
	} {
		typ, _, _ := strings.Cut(row.id, "_")
		page, err := g.Find(t.Context(), graph.Query{Type: strings.ToUpper(typ[:1]) + typ[1:], Filter: fields{"$id": row.id}, Include: []string{row.field}, AsOf: row.asOf})
		if err != nil || len(page.Results) != 1 {
			t.Fatalf("%s: %v, %v", row.name, page, err)
		}
		raw, err := page.Results[0].MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		got := filter(t, string(raw))
		left, _ := got["$leftOut"].(map[string]any)
		if list, _ := got[row.field].([]any); len(list) != row.shown || left[row.field] != row.left {
			t.Errorf("%s: got %d and %v left out, want %d and %v", row.name, len(list), left, row.shown, row.left)
		}
	}
}

func TestReferencesAreIncluded(t *testing.T) {
	_, g := acme(t)
	ctx := t.Context()
	customer := must(t)(g.Create(ctx, "Customer", fields{"name": "C", "email": "c@example.com"}))
	sub := must(t)(g.Create(ctx, "Subscription", fields{"plan": "pro", "customer": customer.ID, "contact": "contact_fX9bL5nRd"}))
	find := func(q graph.Query) string {
		page, err := g.Find(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(page.Results)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	got := find(graph.Query{Type: "Subscription", Include: []string{"customer", "contact"}, Fields: []string{"plan"}})
	for _, want := range []string{`"customer":{"$id":"` + customer.ID, `"contact":"contact_fX9bL5nRd"`, `"plan":"pro"`} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, asOf := range []graph.AsOf{{}, {Seq: sub.Seq}} {
		got = find(graph.Query{Type: "Customer", Include: []string{"subscriptions"}, AsOf: asOf})
		if !strings.Contains(got, `"subscriptions":[{"$id":"`+sub.ID) {
			t.Errorf("got %s", got)
		}
	}
	if got = find(graph.Query{Type: "Customer", Include: []string{"subscriptions"}, AsOf: graph.AsOf{Seq: customer.Seq}}); !strings.Contains(got, `"subscriptions":[]`) {
		t.Errorf("before: got %s", got)
	}
}

// TestPresentAndPastAnswerAlike compares two ways to the same answer: by
// columns and indexes, and from the documents in the history.
func TestPresentAndPastAnswerAlike(t *testing.T) {
	_, g := acme(t)
	r := rand.New(rand.NewPCG(3, 9))
	values := []any{nil, true, false, 0, 7, 7.5, -3, "7", "a", "Lead", "", []any{"a", 7}, fields{"x": "a"}}
	var now graph.AsOf
	for i := range 60 {
		f := fields{"name": fmt.Sprint("n", i%7)}
		for _, k := range []string{"u", "v"} {
			f[k] = values[r.IntN(len(values))]
		}
		if r.IntN(2) == 0 {
			f["stage"] = []string{"Lead", "Customer"}[r.IntN(2)]
		}
		if r.IntN(3) > 0 {
			f["leadScore"] = r.IntN(5)
		}
		e := must(t)(g.Create(t.Context(), "Contact", f))
		if now.Seq = e.Seq; r.IntN(5) == 0 {
			now.Seq = must(t)(g.Verb(t.Context(), "Contact", "qualify", e.ID, nil)).Seq
		}
	}
	compared := 0
	for range 150 {
		q := graph.Query{Type: "Contact", Limit: 100, Sort: []string{[]string{"stage", "-u", "leadScore", "name"}[r.IntN(4)]}, Filter: randomFilter(r, values, 0)}
		present, err := g.Find(t.Context(), q)
		q.AsOf = now
		past, err2 := g.Find(t.Context(), q)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("%v: got %v and %v", q.Filter, err, err2)
		}
		if err != nil {
			continue
		}
		compared++
		ids := func(p *graph.Page) (out []string) {
			for _, e := range p.Results {
				out = append(out, e.ID)
			}
			return out
		}
		if !slices.Equal(ids(present), ids(past)) || present.Total != past.Total {
			t.Errorf("%v by %v: present %d, past %d entities, or another order", q.Filter, q.Sort, present.Total, past.Total)
		}
	}
	if compared < 50 {
		t.Errorf("only %d filters were valid", compared)
	}
}

func randomFilter(r *rand.Rand, values []any, depth int) fields {
	f := fields{}
	for range 1 + r.IntN(2) {
		switch k := r.IntN(8); {
		case k == 0 && depth < 2:
			f["$or"] = []any{randomFilter(r, values, depth+1), randomFilter(r, values, depth+1)}
		case k == 1 && depth < 2:
			f["$not"] = randomFilter(r, values, depth+1)
		default:
			field := []string{"u", "v", "stage", "leadScore", "name", "u.x"}[r.IntN(6)]
			op := []string{"$eq", "$ne", "$gt", "$lte", "$in", "$nin", "$exists"}[r.IntN(7)]
			v := values[r.IntN(11)]
			switch op {
			case "$in", "$nin":
				v = []any{v, values[r.IntN(11)]}
			case "$exists":
				v = r.IntN(2) == 0
			}
			f[field] = fields{op: v}
		}
	}
	return f
}

func TestACursorOfAnotherQueryIsRefused(t *testing.T) {
	_, g := acme(t)
	people(t, g)
	page, err := g.Find(t.Context(), graph.Query{Type: "Contact", Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]graph.Query{
		"another filter": {Filter: fields{"name": "ada"}},
		"another order":  {Sort: []string{"name"}},
		"another moment": {AsOf: graph.AsOf{Time: time.Unix(1, 0)}},
	} {
		q.Type, q.Cursor = "Contact", page.Cursor
		_, err := g.Find(t.Context(), q)
		wantCode(t, name, err, graph.CodeInvalidFilter)
	}
}
