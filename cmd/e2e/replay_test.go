package e2e_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/sinks"
)

// TestWhatBecameOfAnEventAndSendingItAgain is a person's day after a wrong key:
// see that events were refused, see why, mend it, send them again.
func TestWhatBecameOfAnEventAndSendingItAgain(t *testing.T) {
	standins, host := providers(t)
	standins.Fail(sinks.Fault{Kind: sinks.PostHog, Status: 401, Body: `{"detail":"no such key"}`})
	g := newGateway(t, analytics("shop", host))
	const id = "0193a2b4-7c11-7e00-8a3c-5f0d1f4a9c%02d"
	const n = 5
	for i := range n {
		body := fmt.Sprintf(`{"events":[{"messageId":"`+id+`","event":"Signed Up","userId":"user-%d","userAgent":"Mozilla/5.0 Chrome/142.0.0.0"}]}`, i, i)
		if status, answer := g.post(t, "/e?t=shop", body); status != 202 {
			t.Fatalf("got %d %s", status, answer)
		}
	}
	type rows struct {
		Results []forwarders.Attempt
		HasMore bool
	}
	ask := func(args ...string) (out rows) {
		t.Helper()
		if err := json.Unmarshal([]byte(g.run(t, append([]string{"deliveries", "--tenant", "shop", "--json"}, args...)...)), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	wait(t, "every attempt is a row", func() bool {
		return len(ask("--destination", "posthog", "--outcome", "dead").Results) == n && len(ask("--destination", "ga4", "--outcome", "delivered").Results) == n
	})
	if dead := ask("--outcome", "dead", "--since", "1h").Results[0]; dead.Status != 401 || !strings.Contains(dead.Error, "no such key") || dead.Try != 1 {
		t.Errorf("got %+v", dead)
	}
	trace := g.run(t, "trace", fmt.Sprintf(id, 0), "--tenant", "shop")
	for _, want := range []string{"track Signed Up", "→ ga4      delivered", "→ sentry   skipped: unmapped", "→ posthog  dead: status 401", "no such key"} {
		if !strings.Contains(trace, want) {
			t.Errorf("the trace lacks %q:\n%s", want, trace)
		}
	}

	standins.Heal("")
	if out := g.run(t, "replay", "--tenant", "shop", "--destination", "posthog", "--from", "lake", "--filter", `userId == "user-1"`, "--dry-run"); !strings.Contains(out, "1 would be sent") || len(standins.Events(sinks.PostHog)) != 0 {
		t.Errorf("a dry run: %s, %d sent", out, len(standins.Events(sinks.PostHog)))
	}
	if out := g.run(t, "replay", "--tenant", "shop", "--destination", "posthog", "--from", "dead"); !strings.Contains(out, "5 sent to posthog") {
		t.Errorf("got %s", out)
	}
	if got := len(standins.Events(sinks.PostHog)); got != n {
		t.Errorf("PostHog has %d events, want %d", got, n)
	}
	for _, from := range []string{"lake", "log"} {
		if out := g.run(t, "replay", "--tenant", "shop", "--destination", "posthog", "--from", from, "--since", "1h"); !strings.Contains(out, "read 5 from the "+from) || !strings.Contains(out, "5 sent to posthog") {
			t.Errorf("from the %s: %s", from, out)
		}
	}
	if c := standins.Counts(); c.Duplicates[sinks.PostHog] != 2*n {
		t.Errorf("PostHog knew %d of the events that were sent again, want %d: their ids and times must not change", c.Duplicates[sinks.PostHog], 2*n)
	}
	wait(t, "the replays are rows too", func() bool {
		count := 0
		for _, a := range ask("--destination", "posthog", "--outcome", "delivered").Results {
			if a.Replay {
				count++
			}
		}
		return count == 3*n
	})
	if list := g.run(t, "replay", "--list", "--tenant", "shop"); strings.Count(list, "done") != 4 {
		t.Errorf("the list of replays:\n%s", list)
	}
	if out, err := g.try("replay", "--tenant", "shop", "--destination", "fax"); err == nil || !strings.Contains(out, "destination must be") {
		t.Errorf("a destination that there is not: %v, %s", err, out)
	}
	status, answer := g.post(t, "/e?t=shop", `{"messageId":"order-42","event":"Ordered","userId":"user-9","userAgent":"Mozilla/5.0 Chrome/142.0.0.0"}`)
	if status != 202 {
		t.Fatalf("got %d %s", status, answer)
	}
	wait(t, "an event whose sender gave it an id of its own is traced by that", func() bool {
		out, err := g.try("trace", "order-42", "--tenant", "shop")
		return err == nil && strings.Contains(out, "track Ordered") && strings.Contains(out, "→ posthog  delivered")
	})
	var told struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &told); err != nil {
		t.Fatal(err)
	}
	var traced forwarders.Trace
	if err := json.Unmarshal([]byte(g.run(t, "trace", told.ID, "--tenant", "shop", "--json")), &traced); err != nil || traced.Event != "Ordered" {
		t.Errorf("by the id %s of the answer: %+v, %v", told.ID, traced, err)
	}
	for _, other := range []string{traced.MessageID, strconv.FormatInt(traced.LogSeq, 10)} {
		if out := g.run(t, "trace", other, "--tenant", "shop"); !strings.Contains(out, "track Ordered") {
			t.Errorf("by %s: %s", other, out)
		}
	}
	if out, err := g.try("trace", told.ID); err == nil { // of the default tenant
		t.Errorf("another tenant's event was traced: %s", out)
	}
}
