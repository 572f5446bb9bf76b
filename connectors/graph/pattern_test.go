package graph_test

import (
	"strings"
	"testing"
)

func TestPatternsOfEventsThatNothingFitsAreTold(t *testing.T) {
	s, _ := acme(t)
	for pattern, want := range map[string]string{
		"*": "", "*.*": "", "Deal.*": "", "deal.closed": "", "*.Created": "", "*.errored": "", "Integration.Recovered": "", "Subscription.RolledBack": "",
		"Bogus.Thing": "declared first", "Deel.Closed": `did you mean "Deal"`, "Subscription.Canceled": `did you mean "Cancelled"`, "*.Craeted": `did you mean "Created"`,
	} {
		if got := s.Types().CheckPattern(pattern); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", pattern, got, want)
		}
	}
}
