package forwarders_test

import (
	"testing"
	"testing/synctest"

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
			simulate(t, func(t *testing.T) {
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
