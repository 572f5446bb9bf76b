package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// declaredMetrics are the names in the document of what an alert can watch.
func declaredMetrics(t testing.TB) []string {
	t.Helper()
	raw, err := os.ReadFile("../../connectors/alerts/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(raw), -1) {
		out = append(out, m[1])
	}
	return out
}

// TestEveryDeclaredMetricHasItsSource compares the document with what a gateway
// knows of a tenant that has destinations, deliveries and subscribers, of whom
// some came, grew, shrank and left: both ways.
func TestEveryDeclaredMetricHasItsSource(t *testing.T) {
	standins, host := providers(t)
	g := newGateway(t, strings.Replace(analytics("default", host), "lakehouse:", "#", 1))
	key := g.credentials(t).SecretKey
	now := time.Now()
	subscription := func(status string, started time.Time, amount int, more string) string {
		t.Helper()
		return g.rest(t, key, "POST", "/~default/Subscription", fmt.Sprintf(
			`{"status":%q,"currency":"EUR","startedAt":%q,"stripeCustomerId":"cus_%d","items":[{"price":"price_%[3]d","amount":%[3]d,"currency":"EUR","recurringInterval":"month","recurringCount":1,"quantity":1,"usageType":"licensed"}]%s}`,
			status, started.UTC().Format(time.RFC3339), amount, more), 201).text("$id")
	}
	subscription("Active", now.AddDate(-1, 0, 0), 1000, "")
	left := subscription("Active", now.AddDate(-1, 0, 0), 2000, "")
	g.rest(t, key, "POST", "/~default/Subscription/"+left+"/cancel", fmt.Sprintf(`{"endedAt":%q}`, now.UTC().Format(time.RFC3339)), 200)
	if status, body := g.post(t, "/e?t=default", `[{"event":"Order Completed","userId":"u7"},{"type":"error","userId":"u7","exception":{"type":"TypeError","value":"x"}}]`); status != 202 {
		t.Fatalf("got %d %s", status, body)
	}
	wait(t, "each destination has had something", func() bool {
		return len(standins.Events("ga4")) > 0 && len(standins.Events("sentry")) > 0 && len(standins.Events("posthog")) > 0
	})
	declared := declaredMetrics(t)
	if len(declared) < 30 {
		t.Fatalf("the document declares %d metrics only", len(declared))
	}
	form := regexp.MustCompile(`^(delivery|revenue)\.(ga4|sentry|posthog|http|[A-Z]{3})\.`)
	known := map[string]bool{}
	// A month without customers at its start has no rates, and without a rate
	// there is no lifetime value: the document says so.
	absent := []string{"revenue.<currency>.ltv", "revenue.<currency>.churn_rate", "revenue.<currency>.revenue_churn_rate", "revenue.<currency>.nrr"}
	var missing []string
	// What a destination has answered is counted a moment later.
	if !poll(func() bool {
		var status struct{ Metrics map[string]float64 }
		if err := json.Unmarshal([]byte(g.rest(t, key, "GET", "/~default/status", "", 200).raw), &status); err != nil {
			t.Fatal(err)
		}
		for name := range status.Metrics {
			known[form.ReplaceAllStringFunc(name, func(s string) string {
				if strings.HasPrefix(s, "delivery.") {
					return "delivery.<destination>."
				}
				return "revenue.<currency>."
			})] = true
		}
		missing = slices.DeleteFunc(slices.Clone(declared), func(name string) bool { return known[name] || slices.Contains(absent, name) })
		return len(missing) == 0
	}) {
		t.Errorf("%v are declared and no source has them", missing)
	}
	for name := range known {
		if !slices.Contains(declared, name) {
			t.Errorf("a source has %s, which is not declared", name)
		}
	}
	// An alert on one of them is looked at; on a name that nobody has it is not.
	g.rest(t, key, "POST", "/~default/Alert", `{"name":"deliveries","metric":"delivery.posthog.delivered","threshold":0}`, 201)
	g.rest(t, key, "POST", "/~default/Alert", `{"name":"nothing","metric":"delivery.fax.delivered","threshold":0}`, 201)
	wait(t, "the alert fires and the other is unknown", func() bool {
		var s struct {
			Alerts []struct{ Name, Status string }
		}
		if err := json.Unmarshal([]byte(g.rest(t, key, "GET", "/~default/status", "", 200).raw), &s); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(s.Alerts) == "[{deliveries Firing} {nothing Unknown}]"
	})
}
