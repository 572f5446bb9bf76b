package webhook_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/webhook/signature"
)

// Standard Webhooks' own verifier takes our deliveries, with either secret of a
// rotation, and refuses what was changed.
func TestStandardWebhooksOwnVerifierTakesOurDeliveries(t *testing.T) {
	dir := filepath.Join("testdata", "standardwebhooks")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "standardwebhooks")); err != nil {
		t.Fatalf("%v; make deps installs it", err)
	}
	r := start(t)
	r.clock.Forward(time.Since(r.clock.Now())) // the verifier asks the machine's clock
	first := r.link(nil, map[string]string{"secret": secret})
	r.connect(first)()
	next := signature.NewSecret()
	second := r.link(nil, map[string]string{"secret": next})
	second.Before = first
	r.connect(second)
	r.deal(fields{"name": "Enterprise – ünïcode <&>", "value": 50000})
	p := r.arrived(1)[0]
	headers := map[string]string{}
	for name := range p.header {
		headers[name] = p.header.Get(name)
	}
	raw, err := json.Marshal(map[string]any{"body": string(p.body), "headers": headers, "secrets": []string{secret, next}, "wrong": signature.NewSecret()})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "verify.mjs", string(raw))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "2 verified, 3 refused\n" {
		t.Errorf("got %s, %v", out, err)
	}
}
