package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/webhook/signature"
)

// receipt is a request as the collector keeps it.
func receipt(at time.Time, body string, headers ...string) *headlessly.Receipt {
	return &headlessly.Receipt{
		Tenant: "acme", Provider: "webhook", Integration: hookID, ReceivedAt: at.UnixMicro(), Body: []byte(body),
		Headers: strings.ToLower("content-type: application/json\n") + strings.Join(headers, "\n") + "\n",
	}
}

// takes connects an integration that takes requests only.
func (r *rig) takes(in fields, secret string) *connectors.Link {
	r.t.Helper()
	secrets := map[string]string{}
	if secret != "" {
		secrets["webhookSecret"] = secret
	}
	l := r.link(fields{"url": nil, "events": nil, "inbound": in}, secrets)
	delete(l.Fields, "url")
	r.connect(l)
	return l
}

func mac(newHash func() []byte) string { return hex.EncodeToString(newHash()) }

func sum256(key, text string) []byte {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(text))
	return m.Sum(nil)
}

func TestInboundRequestsAreVerified(t *testing.T) {
	r := start(t)
	now := r.clock.Now()
	const key, body = "a shared secret of theirs", `{"type":"order.paid"}`
	m512 := hmac.New(sha512.New, []byte(key))
	m512.Write([]byte(body))
	standard := http.Header{}
	if err := signature.Sign(standard, "msg_1", now, []byte(body), key); err != nil {
		t.Fatal(err)
	}
	var signed []string
	for name := range standard {
		signed = append(signed, strings.ToLower(name)+": "+standard.Get(name))
	}
	stamp := fmt.Sprint(now.Unix())
	timed := fields{"verify": "hmac", "header": "X-Sig", "prefix": "v0=", "timestampHeader": "X-Time", "signed": "v0:{timestamp}:{body}"}
	for _, c := range []struct {
		name string
		in   fields
		r    *headlessly.Receipt
		ok   bool
	}{
		{"Standard Webhooks", fields{"verify": "standard"}, receipt(now, body, signed...), true},
		{"Standard Webhooks, another body", fields{"verify": "standard"}, receipt(now, body+" ", signed...), false},
		{"Standard Webhooks, unsigned", fields{"verify": "standard"}, receipt(now, body), false},
		{"an HMAC in a header of any name", fields{"verify": "hmac", "header": "X-Shop-Hmac"}, receipt(now, body, "x-shop-hmac: "+mac(func() []byte { return sum256(key, body) })), true},
		{"an HMAC of another key", fields{"verify": "hmac", "header": "X-Shop-Hmac"}, receipt(now, body, "x-shop-hmac: "+mac(func() []byte { return sum256("other", body) })), false},
		{"an HMAC in base64 with SHA-512", fields{"verify": "hmac", "header": "X-S", "algorithm": "sha512", "encoding": "base64"}, receipt(now, body, "x-s: "+base64.StdEncoding.EncodeToString(m512.Sum(nil))), true},
		{"an HMAC without its prefix", fields{"verify": "hmac", "header": "X-S", "prefix": "sha256="}, receipt(now, body, "x-s: "+mac(func() []byte { return sum256(key, body) })), false},
		{"an empty HMAC", fields{"verify": "hmac", "header": "X-S"}, receipt(now, body, "x-s: "), false},
		{"an HMAC over time and body", timed, receipt(now, body, "x-time: "+stamp, "x-sig: v0="+mac(func() []byte { return sum256(key, "v0:"+stamp+":"+body) })), true},
		{"an HMAC over another time", timed, receipt(now, body, "x-time: "+stamp, "x-sig: v0="+mac(func() []byte { return sum256(key, "v0:1:"+body) })), false},
		{"an HMAC over an old time", timed, receipt(now, body, "x-time: 1000", "x-sig: v0="+mac(func() []byte { return sum256(key, "v0:1000:"+body) })), false},
		{"a shared secret", fields{"verify": "secret", "header": "X-Token"}, receipt(now, body, "x-token: "+key), true},
		{"a wrong shared secret", fields{"verify": "secret", "header": "X-Token"}, receipt(now, body, "x-token: "+key+"x"), false},
		{"no shared secret", fields{"verify": "secret", "header": "X-Token"}, receipt(now, body), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := r.takes(c.in, key)
			if err := r.c.Verify(l, c.r); (err == nil) != c.ok {
				t.Errorf("got %v, want it taken: %v", err, c.ok)
			}
			if strings.Contains(c.r.Headers, key) {
				t.Errorf("the secret stays in what is kept: %q", c.r.Headers)
			}
		})
	}
	l := r.takes(fields{"verify": "standard"}, "")
	if _, made := r.c.Secrets(hookID); !made.Set() {
		t.Error("no secret was made")
	}
	l.ID = "integration_other"
	if err := r.c.Verify(l, receipt(now, body, signed...)); !errors.Is(err, connectors.ErrNoSecret) {
		t.Errorf("an integration that takes nothing: got %v", err)
	}
}

func TestAPayloadBecomesAnEventByItsMapping(t *testing.T) {
	r := start(t)
	now := r.clock.Now()
	body := `{"event":"order.paid","live":true,"customer":{"id":"c1","email":"ada@example.com"},"total":12.5,"lines":[{"sku":"a"},{"sku":"b"}]}`
	for _, c := range []struct {
		name, body string
		in         fields
		want       string
	}{
		{
			"without a mapping, the body is the data", `{"type":"ping","n":1}`,
			fields{},
			`Event messageId {"data":{"n":1,"type":"ping"},"name":"ping","source":"API","timestamp":"2026-03-01T12:00:00.000000Z","type":"ping"}`,
		},
		{
			"expressions over body and headers", body,
			fields{"event": fields{"type": `"shop." + body.event`, "name": `"Order"`, "userId": "body.customer.id", "properties": `{"total": body.total, "skus": map(body.lines, .sku), "kind": headers["x-kind"]}`}},
			`Event messageId {"name":"Order","properties":{"kind":"new","skus":["a","b"],"total":12.5},"source":"API","timestamp":"2026-03-01T12:00:00.000000Z","type":"shop.order.paid","userId":"c1"}`,
		},
		{
			"another type of entity", body,
			fields{"entity": fields{"type": "Contact", "key": "email", "id": "body.customer.email", "fields": fields{"name": "upper(body.customer.id)", "source": `"shop"`}}},
			`Contact email=ada@example.com {"name":"C1","source":"shop"}`,
		},
		{"a condition that does not hold", body, fields{"when": "body.live == false"}, ""},
		{
			"a body that is no JSON", "plain text",
			fields{},
			`Event messageId {"data":"plain text","name":"webhook","source":"API","timestamp":"2026-03-01T12:00:00.000000Z","type":"webhook"}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in["verify"], c.in["idHeader"], c.in["header"] = "secret", "X-Id", "X-Token"
			l := r.takes(c.in, "a shared secret of theirs")
			d, err := r.c.Read(t.Context(), l, receipt(now, c.body, "x-id: 42", "x-kind: new"))
			if err != nil || d.ID != "42" {
				t.Fatalf("got %+v, %v", d, err)
			}
			got := ""
			for _, ch := range d.Changes {
				raw, err := json.Marshal(ch.Fields)
				if err != nil {
					t.Fatal(err)
				}
				key := ch.Key
				if ch.Type != "Event" {
					key += "=" + ch.ID
				} else if ch.ID != "42" {
					t.Errorf("got the event's id %q, want the request's", ch.ID)
				}
				got = ch.Type + " " + key + " " + string(raw)
			}
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestInboundSettingsAtFaultAreNamed(t *testing.T) {
	r := start(t)
	for _, c := range []struct {
		name  string
		in    any
		field string
	}{
		{"no object", "standard", "inbound"},
		{"an unknown key", fields{"verify": "standard", "mapping": 1}, "inbound"},
		{"no way to verify", fields{}, "inbound.verify"},
		{"an HMAC without a header", fields{"verify": "hmac"}, "inbound.header"},
		{"a header that is never kept", fields{"verify": "secret", "header": "Authorization"}, "inbound.header"},
		{"an unknown algorithm", fields{"verify": "hmac", "header": "X-S", "algorithm": "md5"}, "inbound.algorithm"},
		{"an unknown encoding", fields{"verify": "hmac", "header": "X-S", "encoding": "base32"}, "inbound.encoding"},
		{"a template without the body", fields{"verify": "hmac", "header": "X-S", "signed": "{timestamp}"}, "inbound.signed"},
		{"an expression that is none", fields{"verify": "standard", "event": fields{"type": "body."}}, "inbound.event.type"},
		{"a condition that is no boolean", fields{"verify": "standard", "when": `"yes"`}, "inbound.when"},
		{"an unknown type", fields{"verify": "standard", "entity": fields{"type": "Order", "key": "id", "id": "body.id"}}, "inbound.entity.type"},
		{"a key that is not unique", fields{"verify": "standard", "entity": fields{"type": "Contact", "key": "name", "id": "body.id"}}, "inbound.entity.key"},
		{"event and entity at once", fields{"verify": "standard", "event": fields{"type": "1"}, "entity": fields{"type": "Contact", "key": "email", "id": "body.id"}}, "inbound"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := r.c.Validate(t.Context(), r.link(fields{"inbound": c.in}, nil))
			if err == nil || !strings.Contains(err.Error(), c.field+":") {
				t.Errorf("got %v, want a fault of %s", err, c.field)
			}
		})
	}
}
