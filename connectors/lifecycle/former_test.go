package lifecycle_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	_ "modernc.org/sqlite" // the driver

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/analytics"
	"github.com/headlessly/headlessly/connectors/connectortest"
	"github.com/headlessly/headlessly/connectors/graph"
)

func fine(headlessly.Destinations) error { return nil }

func secret(v string) headlessly.Secret { return headlessly.NewSecret(v) }

// everywhere is destinations with each kind of credential.
func everywhere() headlessly.Destinations {
	return headlessly.Destinations{
		GA:      &headlessly.GADestination{MeasurementID: "G-ABC1234567", APISecret: secret("ga-secret"), ResendUnknown: true, Rules: &headlessly.Rules{}},
		Sentry:  &headlessly.SentryDestination{DSN: secret("https://key@o1.ingest.sentry.io/42")},
		PostHog: &headlessly.PostHogDestination{APIKey: secret("phc_1"), Host: "https://eu.i.posthog.com"},
		HTTP:    &headlessly.HTTPDestination{URL: secret("https://a.example/t0ken"), Headers: map[string]headlessly.Secret{"x-key": secret("h3ader")}, Batch: 3, Secret: secret("whsec_1")},
	}
}

// TestIntegrationsOfTheVersionBeforeAreMoved opens a folder as that version
// left it: rows with one seal for all destinations.
func TestIntegrationsOfTheVersionBeforeAreMoved(t *testing.T) {
	a := analytics.New(fine)
	b := connectortest.Start(t, connectortest.Options{Registry: connectors.Registry{a}})
	b.Close(t)
	raw := []byte(`{"ga":{"measurementId":"G-ABC1234567","apiSecret":"ga-secret"},"posthog":{"apiKey":"phc_1"},"http":{"url":"https://a.example/t0ken","headers":{"x-key":"h3ader"}}}`)
	writeFormer(t, b.Dir, "integration_hV6nRxWm22", raw)
	b.Open(t)
	e := b.Integration(t, "integration_hV6nRxWm22")
	if e.Text("status") != "Connected" || e.Text("slug") != "analytics" || e.CreatedBy != "apikey_1" {
		t.Errorf("got %s", e.Doc())
	}
	d, version := a.Destinations("acme")
	if version == 0 || d.GA == nil || d.GA.APISecret.Reveal() != "ga-secret" || d.PostHog.APIKey.Reveal() != "phc_1" || d.HTTP.Headers["x-key"].Reveal() != "h3ader" {
		t.Errorf("got %+v", d)
	}
	b.Close(t)
	b.Open(t) // nothing is moved twice
	if n, err := b.Scope.Count(t.Context(), "Integration", nil, graph.AsOf{}); n != 1 || err != nil {
		t.Errorf("%d integrations, %v", n, err)
	}
}

func writeFormer(t testing.TB, dir, id string, destinations []byte) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(f))
	if err != nil {
		t.Fatal(err)
	}
	box, err := aead.New(h)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := box.Encrypt(destinations, []byte("acme\x00"+id+"\x00destinations"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err1 := db.ExecContext(context.Background(), `create table integrations (id text primary key, tenant text not null, provider text not null, slug text not null, status text not null,
		version integer not null, created_at integer not null, updated_at integer not null, created_by text not null, sealed blob, error text not null default '', unique (tenant, slug)) strict`)
	_, err2 := db.ExecContext(context.Background(), `insert into integrations values (?, 'acme', 'analytics', 'analytics', 'Connected', 1, 1, 1, 'apikey_1', ?, '')`, id, sealed)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsConnectedGoesOverTheConfigurationFile(t *testing.T) {
	a := analytics.New(fine)
	b := connectortest.Start(t, connectortest.Options{Registry: connectors.Registry{a}})
	a.SetFixed("acme", headlessly.Destinations{PostHog: &headlessly.PostHogDestination{APIKey: secret("phc_file")}})
	_, before := a.Destinations("acme")
	connect := func(args map[string]any) *graph.Entity {
		t.Helper()
		e, err := b.Scope.Verb(t.Context(), "Integration", "connect", "", map[string]any{"provider": "analytics", "destinations": args})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := connect(map[string]any{
		"ga": map[string]any{"measurementId": "G-ABC1234567", "apiSecret": "ga-secret", "resendUnknown": true, "rules": map[string]any{}}, "sentry": map[string]any{"dsn": "https://key@o1.ingest.sentry.io/42"},
		"posthog": map[string]any{"apiKey": "phc_1", "host": "https://eu.i.posthog.com"},
		"http":    map[string]any{"url": "https://a.example/t0ken", "headers": map[string]any{"x-key": "h3ader"}, "batch": 3, "secret": "whsec_1"},
	})
	d, after := a.Destinations("acme")
	want := everywhere()
	want.Named(e.ID)
	if !reflect.DeepEqual(d, want) || after == before {
		t.Errorf("got  %#v\nwant %#v", d, want)
	}
	// It is the same after a restart, each field of it.
	b.Close(t)
	b.Open(t)
	if d, _ = a.Destinations("acme"); !reflect.DeepEqual(d, want) {
		t.Errorf("after a restart: got %#v", d)
	}
	// One destination connected anew: its old secret does not stay, the others do.
	if again := connect(map[string]any{"ga": map[string]any{"measurementId": "G-NEW1234567"}}); again.ID != e.ID {
		t.Errorf("another integration: %s", again.ID)
	}
	if d, _ = a.Destinations("acme"); d.GA.APISecret.Set() || d.GA.MeasurementID != "G-NEW1234567" || d.PostHog.APIKey.Reveal() != "phc_1" {
		t.Errorf("merged: got %#v", d)
	}
	if _, err := b.Scope.Verb(t.Context(), "Integration", "disconnect", e.ID, nil); err != nil {
		t.Fatal(err)
	}
	if d, _ = a.Destinations("acme"); d.PostHog.APIKey.Reveal() != "phc_file" || d.GA != nil {
		t.Errorf("after disconnect: got %#v", d)
	}
}
