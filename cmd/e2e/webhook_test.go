package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/forwarders"
)

// TestWhatBecameOfAWebhooksEventsAndSendingThemAgain is the same person's other
// day: a receiver that says that it is gone, what the command line tells of it,
// and a replay.
func TestWhatBecameOfAWebhooksEventsAndSendingThemAgain(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	kept := &hooks{status: http.StatusGone}
	receiver := httptest.NewServer(kept)
	t.Cleanup(receiver.Close)
	g := newGateway(t, "egress: {allowPrivate: true}\n")
	var made map[string]any
	if err := json.Unmarshal([]byte(g.run(t, "Integration.connect", "--provider", "webhook", "--url", receiver.URL, "--events", `["Deal.*"]`, "--secret", secret, "--json")), &made); err != nil {
		t.Fatal(err)
	}
	id, _ := made["$id"].(string)
	g.run(t, "Deal.create", "--name", "Enterprise")
	wait(t, "it is refused", func() bool { body, _ := kept.last(); return body != nil })
	wait(t, "it is parked", func() bool {
		return strings.Contains(g.run(t, "webhook", "deliveries", id, "--state", "parked"), "Deal.Created")
	})
	if out, err := g.try("webhook", "test", id); err == nil || !strings.Contains(out, "not delivered") || !strings.Contains(out, "410") {
		t.Errorf("a test of a receiver that is gone: %v, %s", err, out)
	}
	kept.set(http.StatusOK)
	if out := g.run(t, "webhook", "test", id); !strings.Contains(out, "delivered in") {
		t.Errorf("a test: %s", out)
	}
	if out := g.run(t, "webhook", "replay", id); !strings.Contains(out, "1 deliveries go again") {
		t.Errorf("a replay: %s", out)
	}
	wait(t, "it arrives", func() bool { _, header := kept.last(); return kept.count(header.Get("Webhook-Id")) == 2 })
	wait(t, "it is delivered", func() bool {
		return strings.Contains(g.run(t, "webhook", "deliveries", id, "--state", "delivered"), "Deal.Created")
	})

	// Each attempt is a row.
	var rows struct{ Results []forwarders.Attempt }
	wait(t, "the attempts are rows", func() bool {
		if err := json.Unmarshal([]byte(g.run(t, "deliveries", "--destination", "webhook", "--integration", id, "--json")), &rows); err != nil {
			t.Fatal(err)
		}
		return len(rows.Results) == 2
	})
	last, first := rows.Results[0], rows.Results[1]
	if first.Outcome != forwarders.OutcomeDead || first.Status != http.StatusGone || first.Replay || first.Event != "Deal.Created" || !strings.HasPrefix(first.MessageID, "evt_") || first.Try != 1 {
		t.Errorf("the refused one: got %+v", first)
	}
	if last.Outcome != forwarders.OutcomeDelivered || last.Status != http.StatusOK || !last.Replay || last.MessageID != first.MessageID {
		t.Errorf("the replayed one: got %+v", last)
	}
	if out := g.run(t, "deliveries", "--outcome", "dead"); !strings.Contains(out, "webhook") || !strings.Contains(out, first.MessageID) {
		t.Errorf("as a table: %s", out)
	}
	if out := g.run(t, "trace", first.MessageID); !strings.Contains(out, "Deal.Created") || !strings.Contains(out, "→ webhook "+id+" delivered") || strings.Count(out, "try ") != 2 {
		t.Errorf("a trace of the entity's event: %s", out)
	}
	if out, err := g.try("trace", "evt_nothing0"); err == nil || !strings.Contains(out, "no event of this id") {
		t.Errorf("a trace of an event that there is not: %v, %s", err, out)
	}
	var counted []struct {
		Integration string
		N           int
	}
	g.sql(t, &counted, "select integration, count(*) as n from deliveries where destination = 'webhook' group by all")
	if len(counted) != 1 || counted[0].Integration != id || counted[0].N != 2 {
		t.Errorf("the table: got %v", counted)
	}
	if out := g.run(t, "webhook", "replay", id, first.MessageID); !strings.Contains(out, "1 deliveries go again") {
		t.Errorf("a replay of one: %s", out)
	}
	if out, err := g.try("webhook", "replay", id, first.MessageID, "--all"); err == nil || !strings.Contains(out, "one event takes no") {
		t.Errorf("a replay of one with --all: %v, %s", err, out)
	}
	wait(t, "it arrives again", func() bool { return kept.count(first.MessageID) == 3 })

	// The receiver's developer verifies what came.
	body, header := kept.last()
	file := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	verify := func(secret string) (string, error) {
		args := []string{"webhook", "verify", "--body", file}
		for _, name := range []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} {
			args = append(args, "-H", name+": "+header.Get(name))
		}
		cmd := exec.Command(binary, args...)
		cmd.Env = append(os.Environ(), "HEADLESSLY_WEBHOOK_SECRET="+secret)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := verify(secret); err != nil || !strings.Contains(out, "the signature is right") {
		t.Errorf("verify: %v, %s", err, out)
	}
	if out, err := verify("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"); err == nil {
		t.Errorf("verify with another secret: %s", out)
	}

	// The key that its secret is sealed with is rotated, while nothing runs.
	if out, err := g.try("seal", "rotate"); err == nil {
		t.Errorf("a rotation beside a running gateway: %s", out)
	}
	g.stop(t)
	if out := g.run(t, "seal", "rotate"); !strings.Contains(out, "sealed with a new key") {
		t.Errorf("a rotation: %s", out)
	}
	g.start(t)
	if out := g.run(t, "webhook", "test", id); !strings.Contains(out, "delivered in") {
		t.Errorf("a test after the rotation: %s", out)
	}
}
