package hooks_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/headlessly/headlessly/connectors/graph/graphtest"
)

func TestWhoMayConnect(t *testing.T) {
	g := start(t)
	for _, c := range []struct {
		name, tenant, header, origin, key string
		status                            int                  // of the upgrade
		code                              websocket.StatusCode // after hello; 0 for welcome
	}{
		{name: "key in hello", tenant: "acme", key: "hly_sk_acme", status: 101},
		{name: "key in the header", tenant: "acme", header: "hly_sk_acme", status: 101},
		{name: "no key", tenant: "acme", status: 101, code: 4401},
		{name: "unknown key", tenant: "acme", key: "hly_sk_x", status: 101, code: 4401},
		{name: "public key", tenant: "acme", key: "hly_pk_acme", status: 101, code: 4403},
		{name: "another tenant's key", tenant: "acme", key: "hly_sk_other", status: 101, code: 4403},
		{name: "no such tenant", tenant: "nobody", key: "hly_sk_acme", status: 101, code: 4404},
		{name: "unknown key in the header", tenant: "acme", header: "hly_sk_x", status: 401},
		{name: "another tenant's key in the header", tenant: "acme", header: "hly_sk_other", status: 403},
		{name: "from a page", tenant: "acme", header: "hly_sk_acme", origin: "https://a.example", status: 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			if c.header != "" {
				h.Set("Authorization", "Bearer "+c.header)
			}
			if c.origin != "" {
				h.Set("Origin", c.origin)
			}
			conn, res, err := dial(t, g, c.tenant, h)
			if res == nil || res.StatusCode != c.status {
				t.Fatalf("got %v, %v", res, err)
			}
			if err != nil {
				return
			}
			conn.send(fields{"type": "hello", "version": 1, "key": c.key, "client": "one"})
			m := conn.next()
			if c.code == 0 && m.Type != "welcome" || c.code != 0 && (m.Type != "error" || m.Message == "") {
				t.Errorf("got %+v", m)
			}
			if c.code != 0 {
				if code := conn.closed(); code != c.code {
					t.Errorf("closed with %d", code)
				}
			}
		})
	}
}

func TestWhatIsNotOfTheProtocolEndsTheConnection(t *testing.T) {
	g := start(t)
	for name, text := range map[string]string{
		"no JSON": `{`, "a list": `[]`, "unknown type": `{"type":"registr"}`, "a second hello": `{"type":"hello","version":1,"client":"x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, g, "one")
			if err := c.ws.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
				t.Fatal(err)
			}
			if code := c.closed(); code != 4400 {
				t.Errorf("closed with %d", code)
			}
		})
	}
	c, _, err := dial(t, g, "acme", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.send(fields{"type": "register", "id": "r", "hook": "Deal.created"})
	if code := c.closed(); code != 4400 {
		t.Errorf("without hello: closed with %d", code)
	}
	c = connect(t, g, "one")
	_ = c.ws.Write(t.Context(), websocket.MessageText, []byte(`{"type":"answer","callId":"`+strings.Repeat("x", 2<<20)+`"}`)) // it may be cut off in the middle
	var e websocket.CloseError                                                                                                // or a reset, as the server does not read the rest
	if m, err := c.read(); err == nil || errors.As(err, &e) && e.Code != websocket.StatusMessageTooBig {
		t.Errorf("too long: got %+v, %v", m, err)
	}
}

func TestARegistrationAtFaultIsRefusedAndTheConnectionGoesOn(t *testing.T) {
	g := start(t)
	c := connect(t, g, "one")
	c.register(fields{"id": "taken", "hook": "Deal.created"})
	for _, r := range []struct {
		name, code, field, part string
		hook                    fields
	}{
		{"no such type", "not_found", "hook", `did you mean "Integration"`, fields{"id": "r", "hook": "Integrtion.connecting"}},
		{"no such hook", "not_found", "hook", `did you mean "connecting"`, fields{"id": "r", "hook": "Integration.conecting"}},
		{"no hook", "validation_failed", "hook", "want a type and a hook", fields{"id": "r"}},
		{"no id", "validation_failed", "id", "1 to 64", fields{"hook": "Deal.created"}},
		{"id taken", "conflict", "id", "unregister it first", fields{"id": "taken", "hook": "Deal.created"}},
		{"veto without a name", "validation_failed", "name", "needed", fields{"id": "r", "hook": "Deal.creating", "missing": "veto"}},
		{"odd missing", "validation_failed", "missing", "skip or veto", fields{"id": "r", "hook": "Deal.creating", "missing": "wait"}},
		{"missing on an after hook", "validation_failed", "missing", "after hook", fields{"id": "r", "hook": "Deal.created", "missing": "skip"}},
		{"short deadline", "validation_failed", "deadlineMs", "50 to 10000", fields{"id": "r", "hook": "Deal.creating", "deadlineMs": 1}},
		{"odd name", "validation_failed", "name", "letters", fields{"id": "r", "hook": "Deal.creating", "name": "a.b"}},
		{"the server's name", "validation_failed", "name", "start with _", fields{"id": "r", "hook": "Deal.created", "name": "_a"}},
	} {
		r.hook["type"] = "register"
		c.send(r.hook)
		if m := c.next(); m.Type != "error" || m.Error != r.code || m.Field != r.field || !strings.Contains(m.Message, r.part) || m.ID != r.hook["id"] && r.hook["id"] != nil {
			t.Errorf("%s: got %+v", r.name, m)
		}
	}
	c.send(fields{"type": "ping"})
	if m := c.next(); m.Type != "pong" {
		t.Errorf("got %+v", m)
	}
	if m := c.register(fields{"id": "us", "hook": "Subscription.canceled"}); m.Hook != "Subscription.cancelled" || m.Phase != "after" {
		t.Errorf("got %+v", m)
	}
}

func TestARevokedKeyAReplacedClientAndAShutdownEndTheConnection(t *testing.T) {
	g := serveLooking(t, graphtest.Start(t).Open(t, quick), 3*time.Second)
	old := connect(t, g, "same")
	old.register(fields{"id": "r", "hook": "Deal.created", "name": "crm"})
	done := make(chan websocket.StatusCode, 1)
	go func() { done <- old.closed() }()
	c := connect(t, g, "same")
	if code := <-done; code != 4409 {
		t.Errorf("replaced: closed with %d", code)
	}
	c.register(fields{"id": "r", "hook": "Deal.created", "name": "crm"})
	if _, err := graphtest.Scope(t, g.store, "acme").Create(t.Context(), "Deal", fields{"name": "A"}); err != nil {
		t.Fatal(err)
	}
	if m := c.next(); m.Type != "after" {
		t.Errorf("got %+v", m)
	}
	other, _, err := dial(t, g, "other", http.Header{"Authorization": {"Bearer hly_sk_other"}})
	if err != nil {
		t.Fatal(err)
	}
	other.send(fields{"type": "hello", "version": 1, "client": "same"}) // another tenant's client of the same name is another
	if m := other.next(); m.Type != "welcome" {
		t.Errorf("got %+v", m)
	}
	go func() { done <- other.closed() }() // it answers meanwhile
	g.keys.revoke("hly_sk_acme")
	if code := c.closed(); code != 4401 {
		t.Errorf("revoked: closed with %d", code)
	}
	go g.hooks.Close()
	if code := <-done; code != websocket.StatusGoingAway {
		t.Errorf("shutdown: closed with %d", code)
	}
}

func TestAKeysScopesBoundItsHooks(t *testing.T) {
	g := start(t)
	c, _, err := dial(t, g, "acme", http.Header{"Authorization": {"Bearer hly_sk_reads"}})
	if err != nil {
		t.Fatal(err)
	}
	c.send(fields{"type": "hello", "version": 1, "client": "one"})
	c.next()
	c.register(fields{"id": "r", "hook": "Deal.created"})
	for _, hook := range []string{"Deal.creating", "Contact.created", "*.created"} {
		c.send(fields{"type": "register", "id": hook, "hook": hook})
		if m := c.next(); m.Error != "forbidden" || m.Field != "key" {
			t.Errorf("%s: got %+v", hook, m)
		}
	}
}
