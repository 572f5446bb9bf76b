package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/cmd/config"
)

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "headlessly.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	_, err := config.Load(write(t, `
lisen: ":80"
log:
  maxSize: lots
  maxage: 1h
lakehouse: {commitInterval: soon}
tenants:
  acme:
    destinations: {posthog: {apikey: phc_x}}
`))
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"lisen is no setting; did you mean listen?", "lots", "log.maxage is no setting; did you mean maxAge?", "soon", "tenants.acme.destinations.posthog.apikey is no setting; did you mean apiKey?"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}

func TestEveryWrongValueIsReportedAtOnce(t *testing.T) {
	_, err := config.Load(write(t, `
listen: "8080"
control: nowhere
publicUrl: example.com
pathPrefix: x7/
tenancy: closed
log: {maxSize: 1KB, replicas: 3}
trustedProxies: [nowhere]
tls: {cert: a.pem}
requestsPerMinute: 0
roles: [collect, forwarding, collect]
flight: 127.0.0.1:1
sandbox: {timeout: 1ms, memory: 1KB, calls: -1, operations: -1}
telemetry: {endpoint: "127.0.0.1:4318", sample: 2, metricsInterval: 1ms}
lakehouse: {commitInterval: 1ms, commitSize: 5, catalog: {uri: nowhere}, promote: [{property: url, type: string}, {property: x, type: int}], retention: [{table: event, days: 0}]}
tenants:
  Acme: {}
  shop:
    origins: [shop.example]
    redact: {patterns: ["("]}
    destinations: {ga: {measurementId: UA-1}, sentry: {dsn: "https://sentry.io/1"}, posthog: {apiKey: phx_personal}}
`))
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{
		"listen:", "control:", "publicUrl:", "pathPrefix:", "tenancy:", "log.maxSize:", "log.replicas:", "trustedProxies[0]:", "tls:", "requestsPerMinute:", "roles[1]:", "roles[2]:", "roles: need log.nats", "flight:", "sandbox.timeout:", "sandbox.memory:", "sandbox.calls:", "sandbox.operations:", "telemetry.endpoint:", "telemetry.sample:", "telemetry.metricsInterval:", "tenants.shop.redact.patterns[0]:", "lakehouse.commitInterval:", "lakehouse.commitSize:", "lakehouse.catalog.uri:", "lakehouse.promote[0].column:", "lakehouse.promote[1].type:", "lakehouse.retention[0].table:", "lakehouse.retention[0].days:", "tenants.Acme:", "tenants.shop.origins[0]:",
		"tenants.shop.destinations.ga.measurementId:", "tenants.shop.destinations.sentry.dsn:", "tenants.shop.destinations.posthog.apiKey:",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no fault for %q in:\n%v", want, err)
		}
	}
}

func TestFlightOverTLSNeedsAnAddressAndACertificate(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		ok   bool
	}{
		"both":           {"flight: 127.0.0.1:8082\ntls: {cert: a.pem, key: b.pem, flight: true}", true},
		"by ACME":        {"flight: 127.0.0.1:8082\ntls: {domains: [events.example.com], flight: true}", true},
		"no address":     {"tls: {cert: a.pem, key: b.pem, flight: true}", false},
		"no certificate": {"flight: 127.0.0.1:8082\ntls: {flight: true}", false},
	} {
		_, err := config.Load(write(t, c.file))
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "tls.flight:") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAGoodFileChangesWhatItNamesAndNothingElse(t *testing.T) {
	t.Setenv("TEST_SECRET", "s3cret-canary")
	c, err := config.Load(write(t, `
listen: 127.0.0.1:9000
log: {maxSize: 2GB, maxAge: 72h, nats: "nats://127.0.0.1:4222"}
roles: [collect, lake]
requestsPerMinute: 600
sandbox: {timeout: 30s, memory: 128MB, operations: 1000000}
tenants:
  acme: {destinations: {ga: {measurementId: G-ABCDEF1234, apiSecret: "${TEST_SECRET}"}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	d := config.Default()
	if c.Listen != "127.0.0.1:9000" || c.Log.MaxSize != 2<<30 || c.Log.MaxAge != 72*time.Hour || c.Control != d.Control || c.Log.Reserve != d.Log.Reserve {
		t.Errorf("got %+v", c)
	}
	if !c.Runs(config.RoleCollect) || !c.Runs(config.RoleLake) || c.Runs(config.RoleForward) || !d.Runs(config.RoleForward) {
		t.Errorf("roles: got %v", c.Roles)
	}
	if c.RequestsPerMinute != 600 || c.Sandbox != (config.Sandbox{Timeout: 30 * time.Second, Memory: 128 << 20, Operations: 1_000_000}) {
		t.Errorf("limits: got %d requests, %+v", c.RequestsPerMinute, c.Sandbox)
	}
	if got := c.Tenants["acme"].Destinations.GA.APISecret.Reveal(); got != "s3cret-canary" {
		t.Errorf("secret: got %q", got)
	}
	var out strings.Builder
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "canary") || !strings.Contains(out.String(), "apiSecret: '[redacted]'") {
		t.Errorf("printed:\n%s", out.String())
	}
}

func TestAMissingEnvironmentVariableIsNamed(t *testing.T) {
	_, err := config.Load(write(t, `data: ${NO_SUCH_VARIABLE_HERE}`))
	if err == nil || !strings.Contains(err.Error(), "NO_SUCH_VARIABLE_HERE") {
		t.Errorf("got %v", err)
	}
}

func TestAnEmptyFileIsTheDefault(t *testing.T) {
	if _, err := config.Load(write(t, "")); err != nil {
		t.Error(err)
	}
}
