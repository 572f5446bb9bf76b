package hooks_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/graph/graphtest"
)

func TestANamedAfterHookMissesNothingOverKillsOfTheConnection(t *testing.T) {
	nats := graphtest.Start(t)
	g := serve(t, nats.Open(t, quick))
	sc := graphtest.Scope(t, g.store, "acme")
	const entities, perEntity = 5, 30
	var ids []string
	for i := range entities {
		e, err := sc.Create(t.Context(), "Deal", fields{"name": fmt.Sprint(i), "value": 0})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	first := connect(t, g, "worker")
	first.register(fields{"id": "r", "hook": "Deal.updated", "name": "crm"})
	_ = first.ws.CloseNow()

	go func() { // updates go on while the client comes and goes
		for n := range perEntity {
			for _, id := range ids {
				if _, err := sc.Update(t.Context(), "Deal", id, fields{"value": n + 1}); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	rng := rand.New(rand.NewPCG(7, 7))
	got := map[string][]int{} // entity to acknowledged versions
	acked, repeated, kills := 0, 0, 0
	for acked < entities*perEntity {
		c := connect(t, g, "worker")
		c.register(fields{"id": "r", "hook": "Deal.updated", "name": "crm"})
		for life := 5 + rng.IntN(40); life > 0 && acked < entities*perEntity; life-- {
			m, err := c.read()
			if err != nil || m.Type != "after" || m.Event.Type != "Deal.Updated" || m.Entity["$version"] != float64(m.Event.Version) {
				t.Fatalf("got %+v, %v", m, err)
			}
			versions := got[m.Event.Target]
			switch {
			case slices.Contains(versions, m.Event.Version):
				repeated++
			case len(versions) > 0 && m.Event.Version != versions[len(versions)-1]+1, len(versions) == 0 && m.Event.Version != 2:
				t.Fatalf("%s: version %d after %v", m.Event.Target, m.Event.Version, versions)
			default:
				got[m.Event.Target] = append(versions, m.Event.Version)
				acked++
			}
			c.send(fields{"type": "ack", "id": "r", "seq": m.Seq})
		}
		_ = c.ws.CloseNow()
		kills++
	}
	t.Logf("%d events, %d connections killed, %d repetitions", acked, kills, repeated)
	if kills < 3 || repeated > 8*kills {
		t.Errorf("%d kills cost %d repetitions, want at most the eight that were out and not yet counted, each", kills, repeated)
	}
}

func TestANackedEventComesAgainThenIsParkedAndTheNextOneComes(t *testing.T) {
	g := start(t)
	sc := graphtest.Scope(t, g.store, "acme")
	for _, named := range []bool{true, false} {
		t.Run(fmt.Sprint("named ", named), func(t *testing.T) {
			c := connect(t, g, "one")
			hook := fields{"id": "r", "hook": "Contact.created"}
			if named {
				hook["name"] = "crm"
			}
			c.register(hook)
			bad, err := sc.Create(t.Context(), "Contact", fields{"name": "bad"})
			if err != nil {
				t.Fatal(err)
			}
			attempts := 3
			if !named {
				attempts = 2 // then it takes it: eight attempts last too long for a test
			}
			for n := range attempts {
				m := c.next()
				if m.Type != "after" || m.Attempt != n+1 || m.Event.Target != bad.ID || m.Entity["name"] != "bad" {
					t.Fatalf("got %+v", m)
				}
				if !named && n == 1 {
					c.send(fields{"type": "ack", "id": "r", "seq": m.Seq})
				} else {
					c.send(fields{"type": "nack", "id": "r", "seq": m.Seq, "error": "the CRM answered 503"})
				}
			}
			if named {
				if m := c.next(); m.Type != "error" || m.Error != "parked" || m.ID != "r" {
					t.Fatalf("got %+v", m)
				}
				parked, err := g.store.Parked(t.Context(), "remote_acme_Contact-created-crm")
				if err != nil || len(parked) != 1 || parked[0].Error != "the CRM answered 503" {
					t.Errorf("got %+v, %v", parked, err)
				}
			}
			good, err := sc.Create(t.Context(), "Contact", fields{"name": "good"})
			if err != nil {
				t.Fatal(err)
			}
			m := c.next()
			if m.Event.Target != good.ID || m.Attempt != 1 {
				t.Errorf("got %+v", m)
			}
			c.send(fields{"type": "ack", "id": "r", "seq": m.Seq})
			if !named {
				return
			}
			for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
				through, err := g.store.Through(t.Context(), "remote_acme_Contact-created-crm")
				if err != nil || time.Now().After(until) {
					t.Fatalf("through %d, %v; want %d", through, err, m.Seq)
				}
				if through >= m.Seq {
					break
				}
			}
		})
	}
}

func TestOneOfTwoClientsGetsTheEventsAndTheOtherTakesOver(t *testing.T) {
	// A lease that a slow machine does not lose: a is to have it until it goes.
	g := serve(t, graphtest.Start(t).Open(t, func(c *graph.Config) { quick(c); c.LeaseFor = 4 * time.Second }))
	sc := graphtest.Scope(t, g.store, "acme")
	a, b := connect(t, g, "a"), connect(t, g, "b")
	hook := func() fields { return fields{"id": "r", "hook": "*.created", "name": "crm"} }
	a.register(hook())
	if _, err := sc.Create(t.Context(), "Deal", fields{"name": "first"}); err != nil {
		t.Fatal(err)
	}
	a.send(fields{"type": "ack", "id": "r", "seq": a.next().Seq}) // a has it before b asks
	b.register(hook())
	made := map[string]bool{}
	for range 10 {
		e, err := sc.Create(t.Context(), "Deal", fields{"name": "A"})
		if err != nil {
			t.Fatal(err)
		}
		made[e.ID] = true
	}
	for range 5 {
		m := a.next()
		delete(made, m.Event.Target)
		a.send(fields{"type": "ack", "id": "r", "seq": m.Seq})
	}
	_ = a.ws.CloseNow()
	for len(made) > 0 {
		m := b.next()
		delete(made, m.Event.Target)
		b.send(fields{"type": "ack", "id": "r", "seq": m.Seq})
	}
}

func TestAForgottenHookBeginsAnew(t *testing.T) {
	g := start(t)
	sc := graphtest.Scope(t, g.store, "acme")
	c := connect(t, g, "one")
	create := func(name string) {
		t.Helper()
		if _, err := sc.Create(t.Context(), "Deal", fields{"name": name}); err != nil {
			t.Fatal(err)
		}
	}
	c.register(fields{"id": "r", "hook": "Deal.created", "name": "crm"})
	c.send(fields{"type": "unregister", "id": "r", "forget": true})
	if m := c.next(); m.Type != "unregistered" || m.ID != "r" {
		t.Fatalf("got %+v", m)
	}
	create("in between")
	c.register(fields{"id": "r", "hook": "Deal.created", "name": "crm"})
	create("after")
	if m := c.next(); m.Entity["name"] != "after" {
		t.Errorf("got %+v", m)
	}
}
