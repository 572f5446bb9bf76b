package hooks_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/graph/graphtest"
)

func TestARemoteBeforeHookChangesAndVetoes(t *testing.T) {
	g := start(t)
	sc := graphtest.Scope(t, g.store, "acme")
	c := connect(t, g, "one")
	if m := c.register(fields{"id": "r1", "hook": "Integration.connecting"}); m.Phase != "before" || m.DeadlineMs != 2000 {
		t.Errorf("got %+v", m)
	}
	c.register(fields{"id": "r2", "hook": "Deal.updating", "name": "deals"})
	c.register(fields{"id": "r3", "hook": "*.deleting"})
	var seen []message
	c.answer(func(m message) fields {
		seen = append(seen, m)
		switch m.Hook {
		case "Integration.connecting":
			return fields{"patch": fields{"name": "by hook", "description": nil, "lastSyncCount": 9007199254740993}}
		case "Deal.updating":
			return fields{"veto": "the value is final"}
		}
		return fields{}
	})
	e, err := sc.Verb(t.Context(), "Integration", "connect", "", fields{"provider": "stripe", "description": "mine", "apiKey": "c4nary"})
	if err != nil || e.Text("name") != "by hook" || e.Text("description") != "" || e.Number("lastSyncCount") != "9007199254740993" {
		t.Fatalf("got %v, %v", e, err)
	}
	m := seen[0]
	if m.ID != "r1" || m.Verb != "connect" || m.Actor != "apikey_test" || m.Entity["$id"] != e.ID || m.Entity["$version"] != 0.0 || m.Entity["status"] != "Connected" || m.Current != nil || m.Args["provider"] != "stripe" || m.EventID == "" || m.Cause != m.EventID+":1" || m.DeadlineMs <= 0 || m.DeadlineMs > 2000 {
		t.Errorf("the hook saw %+v", m)
	}
	if raw, _ := json.Marshal(m); strings.Contains(string(raw), "c4nary") {
		t.Errorf("a secret reached the hook: %s", raw)
	}
	deal, err := sc.Create(t.Context(), "Deal", fields{"name": "A", "value": 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = sc.Update(t.Context(), "Deal", deal.ID, fields{"value": 2})
	wantCode(t, "update", err, graph.CodeVetoed, "the value is final")
	if err := sc.Delete(t.Context(), "Deal", deal.ID); err != nil {
		t.Error(err)
	}
	if last := seen[len(seen)-1]; last.ID != "r3" || last.Hook != "Deal.deleting" || last.Current["name"] != "A" || last.Entity["$version"] != 1.0 {
		t.Errorf("the hook of every type saw %+v", last)
	}
	other := graphtest.Scope(t, g.store, "other")
	n := len(seen)
	if _, err := other.Verb(t.Context(), "Integration", "connect", "", fields{"provider": "stripe"}); err != nil || len(seen) != n {
		t.Errorf("another tenant's mutation: %v, calls %d", err, len(seen)-n)
	}
}

func TestAFaultyPatchIsRefusedWithItsField(t *testing.T) {
	g := start(t)
	sc := graphtest.Scope(t, g.store, "acme")
	c := connect(t, g, "one")
	c.register(fields{"id": "r1", "hook": "Integration.creating"})
	var patch fields
	c.answer(func(message) fields { return fields{"patch": patch} })
	for field, v := range map[string]any{"$version": 7, "apiKey": "x", "status": "Nonsense", "events": 1} {
		patch = fields{field: v}
		_, err := sc.Create(t.Context(), "Integration", fields{"provider": "stripe"})
		wantCode(t, field, err, graph.CodeValidation, field)
	}
}

func TestSeveralHooksRunInTheOrderOfTheirNames(t *testing.T) {
	g := start(t)
	sc := graphtest.Scope(t, g.store, "acme")
	for _, name := range []string{"b", "c", "a"} {
		c := connect(t, g, "client-"+name)
		c.register(fields{"id": "r", "hook": "Deal.creating", "name": name})
		c.answer(func(m message) fields { return fields{"patch": fields{"name": m.Entity["name"].(string) + name}} })
	}
	deal, err := sc.Create(t.Context(), "Deal", fields{"name": "-"})
	if err != nil || deal.Text("name") != "-abc" {
		t.Errorf("got %v, %v", deal, err)
	}
}

func TestAMissingClientIsSkippedOrVetoes(t *testing.T) {
	nats := graphtest.Start(t)
	g := serve(t, nats.Open(t, quick))
	sc := graphtest.Scope(t, g.store, "acme")
	create := func(typ string) error {
		_, err := sc.Create(t.Context(), typ, fields{"name": "A"})
		return err
	}
	c := connect(t, g, "one")
	c.register(fields{"id": "r1", "hook": "Deal.creating", "deadlineMs": 50})
	c.register(fields{"id": "r2", "hook": "Contact.creating", "name": "gate", "missing": "veto", "deadlineMs": 50})
	c.answer(func(message) fields { return nil }) // connected, and silent
	if err := create("Deal"); err != nil {
		t.Errorf("silent, skip: %v", err)
	}
	wantCode(t, "silent, veto", create("Contact"), graph.CodeVetoed, "did not answer within 50ms")
	_ = c.ws.CloseNow()
	if err := create("Deal"); err != nil {
		t.Errorf("gone, skip: %v", err)
	}
	graphtest.Eventually(t, "the end of the connection", func() bool { return len(g.store.Remotes("acme")) == 1 })
	var err error
	graphtest.Eventually(t, "that the veto knows it", func() bool { // its hooks end one by one
		err = create("Contact")
		return err == nil || strings.Contains(err.Error(), "no client")
	})
	wantCode(t, "gone, veto", err, graph.CodeVetoed, "has no client connected")

	again := serve(t, nats.Open(t, quick)) // a gateway that starts later, or next to it
	sc = graphtest.Scope(t, again.store, "acme")
	wantCode(t, "gone, veto, after a restart", create("Contact"), graph.CodeVetoed, "has no client connected")
	if err := create("Deal"); err != nil {
		t.Errorf("gone, skip, after a restart: %v", err)
	}
	if status, body := again.rest(t, "GET", "acme", ""); status != 200 || !strings.Contains(body, `"name":"gate"`) {
		t.Errorf("list: got %d %s", status, body)
	}
	if status, body := again.rest(t, "DELETE", "other", "Contact.creating/gate"); status != 404 {
		t.Errorf("another tenant forgets it: got %d %s", status, body)
	}
	c = connect(t, g, "one")
	c.register(fields{"id": "r2", "hook": "Contact.creating", "name": "gate", "missing": "veto", "deadlineMs": 5000})
	c.answer(func(m message) fields { return fields{"patch": fields{"name": "through"}} })
	if e, err := sc.Create(t.Context(), "Contact", fields{"name": "A"}); err != nil || e.Text("name") != "through" {
		t.Errorf("a call at the other gateway: %v, %v", e, err)
	}
	if status, body := again.rest(t, "DELETE", "acme", "Contact.creating/gate"); status != 409 {
		t.Errorf("forget while it runs: got %d %s", status, body)
	}
	_ = c.ws.CloseNow()
	graphtest.Eventually(t, "forgetting", func() bool {
		status, _ := again.rest(t, "DELETE", "acme", "Contact.creating/gate")
		return status == 204
	})
	if err := create("Contact"); err != nil {
		t.Errorf("forgotten: %v", err)
	}
}

func (g *gateway) rest(t testing.TB, method, tenant, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(g.url+"/~"+tenant+"/hooks/"+path, "/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}
