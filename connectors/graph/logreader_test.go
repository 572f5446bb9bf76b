package graph_test

import (
	"context"
	"testing"

	"github.com/headlessly/headlessly"
)

func TestEntityEventsAreReadAsALogWithACursor(t *testing.T) {
	s, acme := acme(t)
	deal := must(t)(acme.Create(t.Context(), "Deal", fields{"name": "Big", "value": 5}))
	must(t)(acme.Verb(t.Context(), "Deal", "win", deal.ID, nil))
	if err := acme.Delete(t.Context(), "Deal", deal.ID); err != nil {
		t.Fatal(err)
	}
	log, err := s.LogReader()
	if err != nil {
		t.Fatal(err)
	}
	last, err := log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []headlessly.EntityEvent
	for f, err := range log.Read(ctx, 1) {
		if err != nil {
			t.Fatal(err)
		}
		var e headlessly.EntityEvent
		if err := e.UnmarshalBinary(f.Records[0].Data); err != nil || f.Records[0].Kind != headlessly.RecordEntityEvent {
			t.Fatal(err)
		}
		if got = append(got, e); f.Seq >= last {
			break
		}
	}
	if len(got) != 3 || got[0].Event != "Deal.Created" || !got[0].Whole || got[0].Data != `{"name":"Big","value":5}` || got[1].Data != `{"stage":{"after":"Won"}}` || got[1].Whole || !got[2].Deleted || got[2].Entity != deal.ID || got[2].Tenant != "acme" || got[2].Version != 3 {
		t.Errorf("got %+v", got)
	}
	for _, step := range []struct{ commit, want uint64 }{{2, 2}, {1, 2}, {last, last}} {
		if err := log.Commit(t.Context(), "lake", step.commit); err != nil {
			t.Fatal(err)
		}
		if at, err := log.Committed(t.Context(), "lake"); err != nil || at != step.want {
			t.Errorf("after commit of %d: got %d %v, want %d", step.commit, at, err, step.want)
		}
	}
}
