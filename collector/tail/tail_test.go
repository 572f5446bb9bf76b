package tail_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/tail"
)

func records(t testing.TB, tenant string, names ...string) []headlessly.Record {
	t.Helper()
	var out []headlessly.Record
	for _, n := range names {
		data, err := (&headlessly.Event{Tenant: tenant, Event: n}).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, headlessly.Record{Kind: headlessly.RecordEvent, Data: data})
	}
	return out
}

func subscribe(t testing.TB, tap *tail.Tap, tenant string, f tail.Filter) *tail.Subscription {
	t.Helper()
	s, err := tap.Subscribe(tenant, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func drained(s *tail.Subscription) (names []string) {
	for {
		select {
		case e := <-s.C():
			names = append(names, e.Event)
		default:
			return names
		}
	}
}

func TestAViewerSeesWhatItAskedFor(t *testing.T) {
	var tap tail.Tap
	acme := subscribe(t, &tap, "acme", nil)
	orders := subscribe(t, &tap, "acme", func(e *headlessly.Event) bool { return e.Event == "order" })
	all := subscribe(t, &tap, "", nil)
	tap.Publish(headlessly.LogSeq(7, 3), append(records(t, "acme", "page", "order"), headlessly.Record{Kind: headlessly.RecordRejected, Data: []byte("x")}))
	tap.Publish(headlessly.LogSeq(8, 0), records(t, "other", "secret"))
	if e := <-orders.C(); e.Event != "order" || e.Tenant != "acme" || e.LogSeq != headlessly.LogSeq(7, 4) {
		t.Errorf("got %+v", e)
	}
	for name, c := range map[string]struct {
		s    *tail.Subscription
		want int
	}{"one tenant": {acme, 2}, "filtered": {orders, 0}, "every tenant": {all, 3}} {
		if got := drained(c.s); len(got) != c.want {
			t.Errorf("%s: got %v, want %d", name, got, c.want)
		}
	}
}

func TestASlowViewerLosesEventsAndIsTold(t *testing.T) {
	var tap tail.Tap
	s := subscribe(t, &tap, "acme", nil)
	r := records(t, "acme", "x")
	for range 1000 {
		tap.Publish(1, r)
	}
	if got, lost := len(drained(s)), s.Lost(); got == 0 || int64(got)+lost != 1000 || s.Lost() != 0 {
		t.Errorf("got %d and %d lost, want 1000 together", got, lost)
	}
}

func TestViewersAreBounded(t *testing.T) {
	var tap tail.Tap
	var subs []*tail.Subscription
	for {
		s, err := tap.Subscribe("acme", nil)
		if err != nil {
			if !errors.Is(err, tail.ErrTooMany) {
				t.Fatal(err)
			}
			break
		}
		if subs = append(subs, s); len(subs) > 1000 {
			t.Fatal("no bound")
		}
	}
	subs[0].Close()
	subs[0].Close()
	subscribe(t, &tap, "acme", nil)
	for _, s := range subs {
		s.Close()
	}
	if _, open := <-subs[0].C(); open {
		t.Error("the channel of a closed subscription is open")
	}
}

func TestViewersComeAndGoWhileEventsDo(t *testing.T) {
	var tap tail.Tap
	r := records(t, "acme", "x")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2000 {
				tap.Publish(1, r)
			}
		})
		wg.Go(func() {
			for range 200 {
				if s, err := tap.Subscribe("acme", nil); err == nil {
					drained(s)
					s.Close()
				}
			}
		})
	}
	wg.Wait()
	if tap.Watched() {
		t.Error("somebody still looks")
	}
}

func BenchmarkPublish(b *testing.B) {
	r := records(b, "acme", "x")
	b.Run("nobody looks", func(b *testing.B) {
		var tap tail.Tap
		b.ReportAllocs()
		for b.Loop() {
			tap.Publish(1, r)
		}
	})
	b.Run("one viewer of another tenant", func(b *testing.B) {
		var tap tail.Tap
		subscribe(b, &tap, "other", nil)
		b.ReportAllocs()
		for b.Loop() {
			tap.Publish(1, r)
		}
	})
}
