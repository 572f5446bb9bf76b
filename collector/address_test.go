package collector_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/collector"
	"github.com/headlessly/headlessly/collector/tail"
)

func TestXForwardedForCountsFromTrustedProxiesOnly(t *testing.T) {
	for _, c := range []struct {
		name, trusted string
		headers       []string
		want          string
	}{
		{"nobody is trusted", "", []string{"203.0.113.7"}, "127.0.0.1"},
		{"another is trusted", "10.0.0.0/8", []string{"203.0.113.7"}, "127.0.0.1"},
		{"one proxy", "127.0.0.0/8", []string{"203.0.113.7"}, "203.0.113.7"},
		{"what the client made up stands first", "127.0.0.0/8", []string{"1.2.3.4, 203.0.113.7"}, "203.0.113.7"},
		{"two proxies", "127.0.0.0/8 10.0.0.0/8", []string{"1.2.3.4, 203.0.113.7, 10.1.2.3"}, "203.0.113.7"},
		{"in two headers", "127.0.0.0/8 10.0.0.0/8", []string{"203.0.113.7", "10.1.2.3"}, "203.0.113.7"},
		{"with a port", "127.0.0.0/8", []string{"203.0.113.7:1234"}, "203.0.113.7"},
		{"IPv6", "127.0.0.0/8", []string{"[2001:db8::7]:1234"}, "2001:db8::7"},
		{"rubbish", "127.0.0.0/8", []string{"203.0.113.7, unknown"}, "127.0.0.1"},
		{"no header", "127.0.0.0/8", nil, "127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, func(cfg *collector.Config) {
				d := testDirectory()
				d.policies["acme"] = collector.Policy{KeepIP: true}
				cfg.Directory = d
				for p := range strings.FieldsSeq(c.trusted) {
					cfg.TrustedProxies = append(cfg.TrustedProxies, netip.MustParsePrefix(p))
				}
			})
			req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, serveTCP(t, g)+"/e?t=acme", strings.NewReader(`{"event":"x"}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("User-Agent", "Mozilla/5.0")
			for _, h := range c.headers {
				req.Header.Add("X-Forwarded-For", h)
			}
			client := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext}}
			defer client.CloseIdleConnections()
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if e := g.log.events(t); len(e) != 1 || e[0].IP != c.want {
				t.Errorf("got %+v, want %s", e, c.want)
			}
		})
	}
}

func TestATapShowsWhatIsDurable(t *testing.T) {
	var tap tail.Tap
	g := start(t, withDedupe(t), func(c *collector.Config) { c.Tap = &tap })
	s, err := tap.Subscribe("acme", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	g.post(t, "/e?t=acme", []byte(`[{"event":"a","messageId":"1"},{"event":"a","messageId":"1"},{},{"event":"b"}]`))
	g.post(t, "/e?t=other", []byte(`{"event":"secret"}`))
	for _, want := range []string{"a", "b"} {
		if e := <-s.C(); e.Event != want || e.LogSeq == 0 {
			t.Errorf("got %+v, want %s", e, want)
		}
	}
	select {
	case e := <-s.C():
		t.Errorf("got %+v too", e)
	default:
	}
}

func TestMetricsByClassAndOnDemandByTenant(t *testing.T) {
	classes := func(c *collector.Config) {
		d := testDirectory()
		d.policies["acme"], d.policies["other"] = collector.Policy{Class: "pro"}, collector.Policy{Class: "pro"}
		c.Directory = d
	}
	for _, named := range []bool{false, true} {
		g := start(t, classes, func(c *collector.Config) { c.TenantMetrics = named })
		g.post(t, "/e?t=acme", []byte(`[{"event":"a"},{"event":"b"}]`))
		g.post(t, "/e?t=other", []byte(`{"event":"a"}`))
		var out strings.Builder
		g.c.WriteMetrics(&out)
		if want := `headlessly_class_events_accepted_total{class="pro"} 3`; !strings.Contains(out.String(), want) {
			t.Errorf("no %s", want)
		}
		if got := strings.Contains(out.String(), `headlessly_tenant_events_accepted_total{tenant="acme"} 2`); got != named {
			t.Errorf("tenant's own series: got %v, want %v", got, named)
		}
	}
}
