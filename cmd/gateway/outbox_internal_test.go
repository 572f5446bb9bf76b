package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/outbox"
	"github.com/headlessly/headlessly/forwarders"
)

func TestAWebhooksURLIsRefusedWhereItCouldNotBeDialled(t *testing.T) {
	for _, c := range []struct {
		name, url string
		open      bool   // the operator allows private addresses
		says      string // "" for taken
	}{
		{"an address on the public internet", "https://93.184.216.34/hook", false, ""},
		{"the same without encryption", "http://93.184.216.34/hook", false, "https"},
		{"loopback", "https://127.0.0.1/hook", false, "address"},
		{"loopback of IPv6", "https://[::1]/hook", false, "address"},
		{"loopback within IPv6", "https://[::ffff:127.0.0.1]/hook", false, "address"},
		{"a private network", "https://10.1.2.3/hook", false, "address"},
		{"another", "https://192.168.1.1:8443/hook", false, "address"},
		{"a private network of IPv6", "https://[fd00::1]/hook", false, "address"},
		{"link-local: a cloud's metadata", "https://169.254.169.254/latest/meta-data", false, "address"},
		{"a provider's inner network", "https://100.64.0.1/hook", false, "address"},
		{"multicast", "https://224.0.0.1/hook", false, "address"},
		{"nowhere", "https://0.0.0.0/hook", false, "address"},
		{"a name that resolves to loopback", "https://localhost/hook", false, "resolves to an address that is not on the public internet"},
		{"a name that does not resolve", "https://nothing.invalid/hook", false, "cannot be resolved"},
		{"a credential in it", "https://user:word@93.184.216.34/hook", false, "credentials"},
		{"another scheme", "ftp://93.184.216.34/hook", false, "https"},
		{"a file", "file:///etc/passwd", false, "host"},
		{"no URL", "http://[::1", false, "URL"},
		{"nothing", "", false, "host"},
		{"loopback that is allowed", "http://127.0.0.1:8080/hook", true, ""},
		{"a name of loopback that is allowed", "http://localhost:8080/hook", true, ""},
		{"a private network that is allowed", "https://10.1.2.3/hook", true, ""},
		{"multicast is never", "https://224.0.0.1/hook", true, "address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &Gateway{}
			g.cfg.Egress.AllowPrivate = c.open
			err := g.checkURL(t.Context(), c.url)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "word") {
				t.Errorf("the credential shows in %v", err)
			}
		})
	}
}

func TestAttemptsOfTheOutboxAreRowsLikeOthers(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	base := outbox.Attempt{Tenant: "acme", Endpoint: "integration_x", Provider: "webhook", Event: "evt_x", Name: "Deal.Closed", Seq: 7, Number: 2, At: at, Took: time.Second}
	want := forwarders.Attempt{
		Tenant: "acme", Destination: "webhook", Integration: "integration_x", MessageID: "evt_x", Event: "Deal.Closed", LogSeq: 7, Try: 2, At: at, Took: time.Second,
	}
	for _, c := range []struct {
		name                 string
		state                string
		status               int
		note                 string
		replay               bool
		outcome, kept, error string
	}{
		{"delivered", outbox.Delivered, 200, "ok", false, forwarders.OutcomeDelivered, "ok", ""},
		{"refused for now", outbox.Pending, 503, "busy", false, forwarders.OutcomeRetry, "busy", ""},
		{"nobody answered", outbox.Pending, 0, "connection refused", false, forwarders.OutcomeRetry, "", "connection refused"},
		{"refused for good, by hand", outbox.Parked, 410, "gone", true, forwarders.OutcomeDead, "gone", ""},
	} {
		a, w := base, want
		a.State, a.Status, a.Note, a.Replay = c.state, c.status, c.note, c.replay
		w.Outcome, w.Status, w.Note, w.Error, w.Replay = c.outcome, c.status, c.kept, c.error, c.replay
		if got := attemptsOf([]outbox.Attempt{a}); len(got) != 1 || got[0] != w {
			t.Errorf("%s: got %+v, want %+v", c.name, got, w)
		}
	}
}
