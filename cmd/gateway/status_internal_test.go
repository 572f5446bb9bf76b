package gateway

import (
	"slices"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/forwarders"
)

// TestEveryDeliveryThatNeedsSomebodyIsAProblem: ok is that there is none.
func TestEveryDeliveryThatNeedsSomebodyIsAProblem(t *testing.T) {
	for _, c := range []struct {
		name string
		stat forwarders.Stat
		want []string
	}{
		{"all is delivered, skipped or under way", forwarders.Stat{Accepted: 9, Delivered: 3, Skipped: 3, Pending: 3, Breaker: "closed"}, nil},
		{"some wait", forwarders.Stat{Parked: 2}, []string{"2 events wait for posthog"}},
		{"some were refused", forwarders.Stat{Dead: 2}, []string{"posthog has refused 2 events for good"}},
		{"of some nobody knows", forwarders.Stat{Unknown: 2}, []string{"posthog may lack 2 events"}},
		{
			"all at once",
			forwarders.Stat{Breaker: "open", LastError: "no route", Dead: 1, Unknown: 2, Parked: 3},
			[]string{"posthog takes no events now: no route", "posthog has refused 1 events", "posthog may lack 2 events", "3 events wait"},
		},
	} {
		got := deliveryProblems(map[string]forwarders.Stat{"posthog": c.stat})
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
