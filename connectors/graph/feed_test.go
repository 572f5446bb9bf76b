package graph_test

import (
	"encoding/json"
	"testing"
)

func TestAPageGivesEachEventWithTheEntityItLeft(t *testing.T) {
	s, sc := acme(t)
	start := s.Position()
	deal := must(t)(sc.Create(t.Context(), "Deal", fields{"name": "Enterprise", "value": 1}))
	must(t)(sc.Update(t.Context(), "Deal", deal.ID, fields{"value": 2}))
	must(t)(scope(t, s, "other").Create(t.Context(), "Deal", fields{"name": "theirs"}))
	if err := sc.Delete(t.Context(), "Deal", deal.ID); err != nil {
		t.Fatal(err)
	}
	page, upTo, err := s.Page(t.Context(), "acme", start, 10)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, h := range page {
		got += h.Event.Name + " " + string(h.Entity.Doc()) + "\n"
		raw, err := json.Marshal(h.Entity)
		if err != nil || !json.Valid(raw) {
			t.Errorf("entity of %s: %s, %v", h.Event.Name, raw, err)
		}
	}
	want := `Deal.Created {"name":"Enterprise","value":1}
Deal.Updated {"name":"Enterprise","value":2}
Deal.Deleted {"name":"Enterprise","value":2}
`
	if got != want || upTo != s.Position() {
		t.Errorf("got\n%s up to %d, want\n%s up to %d", got, upTo, want, s.Position())
	}
	if page, _, err := s.Page(t.Context(), "", start, 2); err != nil || len(page) != 2 {
		t.Errorf("a short page of all tenants: got %d events, %v; want 2", len(page), err)
	}
}

func TestOneEventIsReadOfItsOwnTenantOnly(t *testing.T) {
	s, sc := acme(t)
	deal := must(t)(sc.Create(t.Context(), "Deal", fields{"name": "Enterprise"}))
	for tenant, want := range map[string]bool{"acme": true, "other": false} {
		h, err := s.HappenedAt(t.Context(), tenant, deal.Seq)
		if err != nil || (h != nil) != want {
			t.Errorf("%s: got %v, %v; want it: %v", tenant, h, err, want)
		}
	}
}
