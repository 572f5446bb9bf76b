package forwarders_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
)

func TestConsentDecidesWhatLeaves(t *testing.T) {
	for _, row := range []struct {
		name, consent string
		categories    []string
		want          bool
	}{
		{"nobody was asked", "", []string{"analytics"}, true},
		{"yes to everything", "granted", []string{"analytics"}, true},
		{"no to everything", "denied", []string{"analytics"}, false},
		{"an unknown word is no yes", "wait", []string{"analytics"}, false},
		{"yes to this category", "analytics:granted,marketing:denied", []string{"analytics"}, true},
		{"no to this category", "analytics:denied,marketing:granted", []string{"analytics"}, false},
		{"this category is not mentioned", "marketing:granted", []string{"analytics"}, false},
		{"the first category that is mentioned decides", "analytics:granted,functional:denied", []string{"errors", "functional", "analytics"}, false},
		{"a later category decides where no earlier one is mentioned", "analytics:granted", []string{"errors", "functional", "analytics"}, true},
		{"a list without a state", "analytics", []string{"analytics"}, false},
	} {
		if got := forwarders.Allowed(row.consent, row.categories); got != row.want {
			t.Errorf("%s: %q for %v: got %v, want %v", row.name, row.consent, row.categories, got, row.want)
		}
	}
}

func TestWhatIsSkippedIsCountedByReason(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*headlessly.Event)
		want   string // "" for delivered
	}{
		{"an ordinary event", func(*headlessly.Event) {}, ""},
		{"against consent", func(e *headlessly.Event) { e.Consent = "denied" }, forwarders.SkipConsent},
		{"of a bot", func(e *headlessly.Event) { e.IsBot = true }, forwarders.SkipBot},
		{"of a type the destination does not take", func(e *headlessly.Event) { e.Type = headlessly.TypeSession }, forwarders.SkipUnmapped},
		{"switched off by name", func(e *headlessly.Event) { e.Context = `{"integrations":{"A":false}}` }, forwarders.SkipIntegration},
		{"all switched off", func(e *headlessly.Event) { e.Context = `{"integrations":{"All":false}}` }, forwarders.SkipIntegration},
		{"all off but this one", func(e *headlessly.Event) { e.Context = `{"integrations":{"a":true,"All":false}}` }, ""},
		{"another switched off", func(e *headlessly.Event) { e.Context = `{"integrations":{"b":false}}` }, ""},
		{"integrations of a wrong type", func(e *headlessly.Event) { e.Context = `{"integrations":"no"}` }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake("a", nil)
				b := newBench(t, f)
				e := forwardertest.Event("acme", headlessly.TypeTrack, 1, headlessly.SystemClock())
				row.change(e)
				b.log.Events(e)
				r, stop := start(t, b.cfg)
				eventually(t, "commit", func() bool { synctest.Wait(); return b.committed() == 1 })
				stop()
				s := r.Stats()[key("a")]
				if row.want == "" {
					if s.Delivered != 1 {
						t.Errorf("got %+v, want it delivered", s)
					}
				} else if s.Skipped != 1 || s.SkippedBy[row.want] != 1 || f.called() != 0 {
					t.Errorf("got %+v, want skipped by %s", s, row.want)
				}
			})
		})
	}
}

func TestATenantsRulesDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", nil)
		b := newBench(t, f)
		b.source.Set("acme", headlessly.Destinations{Sentry: &headlessly.SentryDestination{Rules: &headlessly.Rules{
			Events: []string{"track"}, Bots: true, Rename: map[string]string{"Order Completed": "purchase"}, Consent: "marketing",
		}}})
		now := headlessly.SystemClock()
		events := []*headlessly.Event{
			forwardertest.Event("acme", headlessly.TypeTrack, 0, now), forwardertest.Event("acme", headlessly.TypePage, 1, now),
			forwardertest.Event("acme", headlessly.TypeTrack, 2, now), forwardertest.Event("acme", headlessly.TypeTrack, 3, now),
		}
		events[2].IsBot = true
		events[3].Consent = "analytics:granted,marketing:denied"
		b.log.Events(events...)
		r, stop := start(t, b.cfg)
		eventually(t, "commit", func() bool { synctest.Wait(); return b.committed() == 1 })
		stop()
		s := r.Stats()[key("a")]
		if s.Delivered != 2 || s.SkippedBy[forwarders.SkipRule] != 1 || s.SkippedBy[forwarders.SkipConsent] != 1 {
			t.Errorf("got %+v", s)
		}
		if got := f.last[forwardertest.ID(0)].Event; got != "purchase" {
			t.Errorf("sent as %q, want the name of the rules", got)
		}
		if events[0].Event != "Order Completed" {
			t.Error("the log's event was changed")
		}
	})
}

func TestARateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", nil)
		f.limits.Items = 10
		b := newBench(t, f)
		b.source.Set("acme", headlessly.Destinations{Sentry: &headlessly.SentryDestination{Rules: &headlessly.Rules{PerSecond: 20}}})
		_, stop := start(t, b.cfg)
		b.events(200)
		time.Sleep(5 * time.Second)
		if got := f.delivered(); got < 90 || got > 130 {
			t.Errorf("%d delivered in 5 seconds at 20 a second", got)
		}
		time.Sleep(10 * time.Minute)
		if got := f.delivered(); got != 200 {
			t.Errorf("%d of 200 delivered in the end", got)
		}
		stop()
	})
}
