package analytics_test

import (
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/analytics"
)

func TestDestinationsNameTheIntegrationTheyComeFrom(t *testing.T) {
	c := analytics.New(func(headlessly.Destinations) error { return nil })
	c.SetFixed("acme", headlessly.Destinations{HTTP: &headlessly.HTTPDestination{URL: headlessly.NewSecret("https://hook.example")}})
	attach := func(id string, given map[string]any) func() {
		t.Helper()
		detach, err := c.Attach(t.Context(), &connectors.Link{Tenant: "acme", ID: id, Fields: map[string]any{"destinations": given}})
		if err != nil {
			t.Fatal(err)
		}
		return detach
	}
	ga := func(id string) map[string]any { return map[string]any{"ga": map[string]any{"measurementId": id}} }
	attach("integration_a", ga("G-AAAA111111"))
	detach := attach("integration_b", ga("G-BBBB222222"))
	check := func(measurement, integration string) {
		t.Helper()
		for range 20 { // in whichever order they are looked at
			c.SetFixed("acme", headlessly.Destinations{HTTP: &headlessly.HTTPDestination{URL: headlessly.NewSecret("https://hook.example")}})
			d, _ := c.Destinations("acme")
			if d.GA.MeasurementID != measurement || d.IntegrationOf(headlessly.DestinationGA4) != integration {
				t.Fatalf("got %s of %q, want %s of %q", d.GA.MeasurementID, d.IntegrationOf(headlessly.DestinationGA4), measurement, integration)
			}
			if got := d.IntegrationOf(headlessly.DestinationHTTP); got != "" {
				t.Fatalf("the configuration file's destination is said to be of %q", got)
			}
		}
	}
	check("G-BBBB222222", "integration_b")
	detach()
	check("G-AAAA111111", "integration_a")
}
