package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/forwarders/sinks"
)

// row is what the tests ask of the events table.
type row struct {
	MessageID string `json:"message_id"`
	Type      string `json:"type"`
	Event     string `json:"event"`
	Query     string `json:"query"`
	Session   string `json:"session_id"`
	Browser   string `json:"browser"`
	ErrorType string `json:"error_type"`
	Stack     string `json:"error_stack"`
	UTM       string `json:"utm_source"`
	UserID    string `json:"user_id"`
	N         int    `json:"n"`
}

const eventRows = `select message_id, any_value(type) as type, any_value(event) as event, any_value(query) as query, any_value(session_id) as session_id,
	any_value(browser) as browser, any_value(error_type) as error_type, any_value(error_stack) as error_stack, any_value(utm_source) as utm_source, any_value(user_id) as user_id, count(*) as n
	from events group by message_id`

// analytics is the configuration of a tenant whose destinations are the
// stand-ins at host.
func analytics(tenant, host string) string {
	return fmt.Sprintf(`
egress: {allowPrivate: true}
lakehouse: {commitInterval: 1s}
tenants:
  %[1]s:
    destinations:
      ga: {measurementId: G-E2E1234567, apiSecret: e2e-secret, endpoint: "http://%[2]s"}
      sentry: {dsn: "http://e2epublic@%[2]s/42"}
      posthog: {apiKey: phc_e2e, host: "http://%[2]s"}
`, tenant, host)
}

// TestABrowserVisitSurvivesTwoKills is the product's promise in one piece: a
// person browses a site, the gateway is killed twice on the way, and every
// event that the page was told is accepted is in the table exactly once and at
// each provider that takes its kind at least once.
func TestABrowserVisitSurvivesTwoKills(t *testing.T) {
	standins, host := providers(t)
	g := newGateway(t, analytics("shop", host))
	base := site(t, "http://"+g.listen+"/v1", "shop")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()

	captured, acked, dropped := map[string]visitorLine{}, map[string]bool{}, map[string]string{}
	kills := 0
	visit(ctx, t, base, 4, func(l visitorLine) {
		id, isCapture := l.Captured.(string)
		if isCapture {
			captured[id] = l
		}
		if id, ok := l.Acked.(string); ok {
			acked[id] = true
		}
		if l.Dropped != "" {
			dropped[l.Dropped] = l.Reason
		}
		// In the middle of round 2 and of round 3, with events under way.
		if n := len(captured); kills < 2 && isCapture && n > 25*(kills+1) {
			kills++
			g.kill(t)
			time.Sleep(2 * time.Second) // the page meets a closed door meanwhile
			g.start(t)
		}
	})
	if kills != 2 {
		t.Fatalf("the gateway was killed %d times, want 2 (%d events captured)", kills, len(captured))
	}
	if len(dropped) > 0 {
		t.Errorf("the page gave up %d events: %v", len(dropped), dropped)
	}
	if len(acked) < 60 {
		t.Fatalf("only %d events were acknowledged of %d captured", len(acked), len(captured))
	}

	// Before anything is stopped, the running gateway already answers for all.
	var live []row
	g.sql(t, &live, eventRows, "--tenant", "shop")
	inTable := map[string]row{}
	for _, r := range live {
		inTable[r.MessageID] = r
	}
	for id := range acked {
		switch r, ok := inTable[id]; {
		case !ok:
			t.Errorf("acknowledged event %s (%s %s) is not in the table", id, captured[id].Type, captured[id].Event)
		case r.N != 1:
			t.Errorf("event %s is in the table %d times", id, r.N)
		}
	}
	checkColumns(t, live)
	checkProviders(t, standins, live)

	// The same answer from the committed table alone, read by a process that
	// never knew the gateway.
	g.stop(t)
	var stored []row
	g.sql(t, &stored, eventRows, "--tenant", "shop")
	if len(stored) != len(live) {
		t.Errorf("after the stop the folder holds %d events, the gateway answered %d", len(stored), len(live))
	}
	for _, r := range stored {
		if r.N != 1 {
			t.Errorf("event %s is stored %d times", r.MessageID, r.N)
		}
	}
}

// checkColumns looks at what a person would ask of their table.
func checkColumns(t *testing.T, rows []row) {
	t.Helper()
	types, sessions := map[string]int{}, map[string]bool{}
	var utm, identified, stacks, spa bool
	for _, r := range rows {
		types[r.Type]++
		sessions[r.Session] = true
		utm = utm || r.UTM == "news"
		identified = identified || r.UserID != ""
		stacks = stacks || r.Type == "error" && r.ErrorType != "" && json.Valid([]byte(r.Stack)) && len(r.Stack) > 20
		spa = spa || r.Type == "page" && strings.Contains(r.Query, "view=sent")
		if r.Browser != "Chrome" {
			t.Errorf("event %s has browser %q", r.MessageID, r.Browser)
		}
	}
	for _, want := range []string{"page", "track", "identify", "error"} {
		if types[want] == 0 {
			t.Errorf("no event of type %s among %v", want, types)
		}
	}
	if len(sessions) != 1 || sessions[""] {
		t.Errorf("got sessions %v, want one", sessions)
	}
	for name, ok := range map[string]bool{"a campaign": utm, "an identified visitor": identified, "an error with its stack": stacks, "a page of the single-page app": spa} {
		if !ok {
			t.Errorf("no row shows %s", name)
		}
	}
}

// checkProviders wants each event at each provider that takes its kind, and
// nothing that the provider would refuse.
func checkProviders(t *testing.T, s *sinks.Sinks, rows []row) {
	t.Helper()
	expect := map[string]map[string]string{sinks.Sentry: {}, sinks.PostHog: {}}
	ga := 0
	for _, r := range rows {
		switch r.Type {
		case "error", "message":
			expect[sinks.Sentry][r.MessageID] = r.Type + " " + r.Event
		}
		switch r.Type {
		case "page", "track", "identify", "error", "pageleave", "click", "form", "vital":
			expect[sinks.PostHog][r.MessageID] = r.Type + " " + r.Event
		}
		switch r.Type {
		case "page", "track", "error":
			ga++
		}
	}
	has := func(kind string) map[string]bool {
		out := map[string]bool{}
		for _, e := range s.Events(kind) {
			var p struct { // PostHog's own identity is wider than the uuid
				UUID    string `json:"uuid"`
				EventID string `json:"event_id"`
			}
			if err := json.Unmarshal(e.Payload, &p); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
			out[dashed(p.UUID+p.EventID)] = true
		}
		return out
	}
	for kind, want := range expect {
		if len(want) == 0 {
			t.Errorf("no event for %s at all", kind)
		}
		missing := map[string]string{}
		if !poll(func() bool {
			clear(missing)
			got := has(kind)
			for id, what := range want {
				if !got[id] {
					missing[id] = what
				}
			}
			return len(missing) == 0
		}) {
			t.Errorf("%s lacks %d of %d events: %v", kind, len(missing), len(want), missing)
		}
	}
	wait(t, fmt.Sprintf("Google has %d events", ga), func() bool { return len(s.Events(sinks.GA4)) >= ga })
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("the providers would refuse: %v", v)
	}
}

// dashed brings Sentry's 32 digits into the form of a UUID.
func dashed(id string) string {
	if len(id) != 32 {
		return id
	}
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}
