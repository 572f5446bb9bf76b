package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestASecondProcessOnTheFolderIsRefusedAndToldWhoIsFirst(t *testing.T) {
	g := newGateway(t, "")
	cmd := exec.Command(binary, "serve", "--data", g.dir, "--listen", freeAddr(t), "--control", freeAddr(t))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "process "+itoa(g.cmd.Process.Pid)) {
		t.Errorf("got %v:\n%s\nwant a refusal that names process %d", err, out, g.cmd.Process.Pid)
	}
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

func TestTheFirstStartSaysWhatToPasteAndShowsTheSecretOnce(t *testing.T) {
	g := newGateway(t, "")
	// What a process has printed is here a moment later.
	wait(t, "the first start has said all", func() bool { return strings.Contains(g.out.String(), "headlessly sql") })
	first := g.out.String()
	for _, want := range []string{`<script src="http://` + g.listen + `/v1" data-tenant="default"></script>`, "hly_pk_", "hly_sk_", "headlessly sql"} {
		if !strings.Contains(first, want) {
			t.Errorf("the first start does not print %q:\n%s", want, first)
		}
	}
	info, err := os.Stat(filepath.Join(g.dir, "credentials.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("credentials.json: %v, %v, want mode 0600", info, err)
	}
	g.stop(t)
	g.out = new(output)
	g.start(t)
	wait(t, "the second start has said all", func() bool { return strings.Contains(g.out.String(), "headlessly sql") })
	if second := g.out.String(); strings.Contains(second, "hly_sk_") {
		t.Errorf("the second start shows the secret key again:\n%s", second)
	}
}

func TestAnEventIsQueryableOnceItIsAcknowledged(t *testing.T) {
	g := newGateway(t, "lakehouse: {commitInterval: 1h}") // nothing is committed meanwhile
	for i := range 5 {
		if status, body := g.post(t, "/e", `{"tenant":"default","events":[{"event":"Hello","userId":"u`+itoa(i)+`"},{"event":7}]}`); status != 202 {
			t.Fatalf("got %d %s", status, body)
		}
		var rows []struct {
			N int `json:"n"`
		}
		g.sql(t, &rows, `select count(*) as n from events where event = 'Hello'`)
		if len(rows) != 1 || rows[0].N != i+1 {
			t.Fatalf("after %d events got %+v", i+1, rows)
		}
	}
	var rejected []struct {
		Reason string `json:"reason"`
		Field  string `json:"field"`
		Raw    string `json:"raw"`
	}
	g.sql(t, &rejected, `select reason, field, decode(raw) as raw from rejected limit 1`)
	if len(rejected) != 1 || rejected[0].Reason != "wrong_type" || rejected[0].Field != "events[1].event" || rejected[0].Raw != `{"event":7}` {
		t.Errorf("rejected: got %+v", rejected)
	}
	// After a kill, and with no server at all, the folder alone still answers.
	g.kill(t)
	var rows []struct {
		N int `json:"n"`
	}
	g.sql(t, &rows, `select count(*) as n from events`)
	if len(rows) != 1 || rows[0].N != 5 {
		t.Errorf("straight over the folder: got %+v, want 5", rows)
	}
}

func TestIntegrationConnectSendsWhatComesAfterIt(t *testing.T) {
	standins, host := providers(t)
	g := newGateway(t, "egress: {allowPrivate: true}")
	t.Setenv("SENTRY_DSN", "http://public@"+host+"/7")
	t.Setenv("POSTHOG_KEY", "phc_connect")
	t.Setenv("GA_API_SECRET", "s3cret")
	out := g.run(t, "Integration.connect", "--provider", "analytics", "--ga", "G-CONNECT123", "--ga-endpoint", "http://"+host, "--posthog-host", "http://"+host)
	if !strings.Contains(out, `"status": "Connected"`) || strings.Contains(out, "s3cret") {
		t.Fatalf("got %s", out)
	}
	if status, body := g.post(t, "/e?t=default", `[{"event":"Order Completed","anonymousId":"a1","properties":{"revenue":12.5,"currency":"EUR"}},{"type":"error","anonymousId":"a1","exception":{"type":"TypeError","value":"x is null"}}]`); status != 202 {
		t.Fatalf("got %d %s", status, body)
	}
	wait(t, "PostHog has both, Sentry the error, Google both", func() bool {
		return len(standins.Events("posthog")) == 2 && len(standins.Events("sentry")) == 1 && len(standins.Events("ga4")) == 2
	})
	if v := standins.Violations(); len(v) > 0 {
		t.Errorf("the providers would refuse: %v", v)
	}
	var status struct {
		Destinations map[string]struct{ Accepted, Delivered int }
	}
	wait(t, "the status has PostHog's answer too", func() bool {
		if err := json.Unmarshal([]byte(g.run(t, "status")), &status); err != nil {
			t.Fatal(err)
		}
		return status.Destinations["posthog"].Delivered >= 2
	})
	if p := status.Destinations["posthog"]; p.Accepted != 2 || p.Delivered != 2 {
		t.Errorf("status says %+v, want 2 accepted and delivered", p)
	}
}

func TestTailShowsAnEventAndWhatCameOfIt(t *testing.T) {
	_, host := providers(t)
	g := newGateway(t, analytics("shop", host))
	cmd := exec.Command(binary, "tail", "--data", g.dir, "--tenant", "shop", "--event", "Order *")
	out := new(output)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait(t, "the tail watches", func() bool { return strings.Contains(out.String(), "watching shop") })
	if status, body := g.post(t, "/e?t=shop", `[{"event":"Order Completed","userId":"u7"},{"event":"Searched","userId":"u8"}]`); status != 202 {
		t.Fatalf("got %d %s", status, body)
	}
	wait(t, "the tail shows the order and its deliveries", func() bool {
		s := out.String()
		return strings.Contains(s, "Order Completed") && strings.Contains(s, "u7") && strings.Contains(s, "→ posthog  delivered") && strings.Contains(s, "→ ga4")
	})
	if s := out.String(); strings.Contains(s, "u8") {
		t.Errorf("the tail shows what its filter leaves out:\n%s", s)
	}
	g.stop(t) // a viewer does not hold up the drain
	if err := cmd.Wait(); err != nil {
		t.Errorf("after the gateway stopped: %v, want exit code 0\n%s", err, out)
	}
	if s := out.String(); !strings.Contains(s, "has ended the stream") {
		t.Errorf("the tail does not say why it ends:\n%s", s)
	}
}

func TestTheFolderOfAStoppedGatewayCanBeLookedAfter(t *testing.T) {
	g := newGateway(t, "lakehouse: {commitInterval: 100ms}")
	for range 5 {
		if status, body := g.post(t, "/e?t=default", `[{"event":"Hello"},{"event":7}]`); status != 202 {
			t.Fatalf("got %d %s", status, body)
		}
	}
	if out, err := g.try("lake", "status"); err == nil || !strings.Contains(out, "in use by process") {
		t.Errorf("beside a running gateway: got %v %s, want a refusal", err, out)
	}
	g.stop(t)
	for _, c := range []struct{ command, want string }{
		{"lake compact", "merged "},
		{"lake expire", "snapshots forgotten"},
		{"lake verify", "ok: "},
		{"lake status", "events"},
		{"log inspect", `"frames": 5`},
		{"log verify", "events"},
		{"log export", `"Event":"Hello"`},
	} {
		if out := g.run(t, strings.Fields(c.command)...); !strings.Contains(out, c.want) {
			t.Errorf("headlessly %s: no %q in\n%s", c.command, c.want, out)
		}
	}
	// How many entity events the start makes is not this test's business; what
	// was posted is there, all of it.
	var rows []struct{ Events, Rejected int }
	g.sql(t, &rows, `select (select count(*) from events) as events, (select count(*) from rejected) as rejected`)
	if len(rows) != 1 || rows[0].Events != 5 || rows[0].Rejected != 5 {
		t.Errorf("after looking after it: got %+v, want 5 events and 5 rejected", rows)
	}
}

func TestTheIcebergCatalogIsForTheOperatorAlone(t *testing.T) {
	g := newGateway(t, "")
	raw, err := os.ReadFile(filepath.Join(g.dir, "credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys struct{ SecretKey, AdminKey string }
	if err := json.Unmarshal(raw, &keys); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int{"": 401, keys.SecretKey: 403, keys.AdminKey: 200} {
		req, err := http.NewRequest(http.MethodGet, "http://"+g.control+"/iceberg/v1/namespaces/headlessly/tables/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != want || want == 200 && !strings.Contains(string(body), `"metadata-location"`) {
			t.Errorf("got %d %.300s, want %d", res.StatusCode, body, want)
		}
	}
}
