package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/github/githubtest"
	"github.com/headlessly/headlessly/connectors/stripe/stripetest"
)

// The page that users paste from, and the blocks of code on it, in order. A
// block begins with its first words and ends with its last, since the page's
// text runs on behind it.
const pageFile = "testdata/integrations-page.txt"

var pageBlocks = []struct{ name, first, last string }{ //nolint:gochecknoglobals // the page's contents
	{"connect three", "import { Integration } from '@headlessly/platform'\nawait Integration.connect({ provider: 'stripe'", "const active = await Integration.find({ status: 'Active' })"},
	{"connect stripe", "import { Integration } from '@headlessly/platform'\nconst stripe", "// stripe.$id = 'integration_hV6nRxWm'"},
	{"verbs and hooks", "import { Integration } from '@headlessly/platform'\n// Execute", "entities: integration.lastSyncCount,\n})\n})"},
	{"stripe", "import { Integration } from '@headlessly/platform'\nimport { Subscription }", "{ contact: sub.contact })\n})"},
	{"github", "import { Integration } from '@headlessly/platform'\nimport { Issue }", "project: issue.project })\n})"},
	{"webhook", "import { Integration } from '@headlessly/platform'\nawait Integration.connect({\nprovider: 'webhook'", "secret: process.env.WEBHOOK_SECRET,\n})"},
	{"delivery", "{\n\"event\": \"Deal.Closed\"", "\"contact\": \"contact_fX9bL5nRd\"\n}\n}"},
	{"script", "<script src=", "/>"},
	{"analytics", "import { Integration } from '@headlessly/platform'\nawait Integration.connect({\nprovider: 'analytics'", "},\n})"},
	{"status", "import { Integration } from '@headlessly/platform'\nconst integrations", "failed: ${integration.error}`,\n})\n})"},
	{"mcp connect", "await $.Integration.connect({", "})"},
	{"mcp list", "{ \"type\": \"Integration\"", "} }"},
	{"mcp sync", "await $.Integration.sync(", "})"},
	{"cli", "npx @headlessly/cli Integration.connect --provider stripe", "npx @headlessly/cli Integration.disconnect integration_hV6nRxWm"},
}

// page reads the blocks; each must be on the page, behind the one before.
func page(t testing.TB) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	rest, out := string(raw), map[string]string{}
	for _, b := range pageBlocks {
		start := strings.Index(rest, b.first)
		if start < 0 {
			t.Fatalf("the page has no block %q behind the one before it", b.name)
		}
		end := strings.Index(rest[start:], b.last)
		if end < 0 {
			t.Fatalf("block %q has no end", b.name)
		}
		end += start + len(b.last)
		out[b.name], rest = rest[start:end], rest[end:]
	}
	return out
}

// world is a gateway with the providers of the page, stood in for.
type world struct {
	g      *gateway
	stripe *stripetest.Server
	github *githubtest.GitHub
	env    []string
	sinks  string            // address of the analytics stand-ins
	ids    map[string]string // what stands on the page, and what it is in this run

	mu     sync.Mutex
	slack  []string
	posted []delivery
}

type delivery struct {
	header http.Header
	body   string
}

func (w *world) receive(slack bool) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		defer w.mu.Unlock()
		if slack {
			w.slack = append(w.slack, string(raw))
		} else {
			w.posted = append(w.posted, delivery{r.Header, string(raw)})
		}
	})
}

func (w *world) hookDeliveries() []delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]delivery(nil), w.posted...)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	_, sinks := providers(t)
	w := &world{sinks: "http://" + sinks, g: newGateway(t, "egress: {allowPrivate: true}\nlakehouse: {commitInterval: 1s}"), stripe: stripetest.Start(t, time.Now)}
	w.stripe.Seed(3)
	w.github = githubtest.New(time.Now)
	w.github.AddRepo("acme", "product")
	hub := httptest.NewServer(w.github)
	t.Cleanup(hub.Close)
	slack, hooks := httptest.NewServer(w.receive(true)), httptest.NewServer(w.receive(false))
	t.Cleanup(slack.Close)
	t.Cleanup(hooks.Close)
	w.env = append(w.g.environment(t),
		"GITHUB_TOKEN="+githubtest.Token, "GITHUB_STANDIN="+hub.URL+"/api/v3/",
		"STRIPE_KEY="+stripetest.LiveKey, "SLACK_WEBHOOK="+slack.URL+"/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", "WEBHOOK_SECRET=whsec_"+"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"GA_ID=G-PAGE123456", "SENTRY_DSN=http://public@"+sinks+"/7", "POSTHOG_KEY=phc_page",
		"SLACK_STANDIN="+slack.URL, "STRIPE_STANDIN="+w.stripe.URL, "HOOKS_STANDIN="+hooks.URL+"/hooks/headlessly", "ANALYTICS_STANDIN=http://"+sinks)
	w.ids = map[string]string{
		"contact_fX9bL5nRd": w.make(t, "Contact.create", "--name", "Ada", "--email", "ada@example.com"),
		"campaign_nR4wLxKp": w.make(t, "Campaign.create", "--name", "Win back"),
		"agent_pR7xMwKn":    w.make(t, "Agent.create", "--name", "Watcher"),
		"project_e5JhLzXc":  w.make(t, "Project.create", "--name", "Product"),
	}
	w.background(t, w.script(t, "standins.mts"), "pointing")
	return w
}

// make creates an entity from the command line and gives its id.
func (w *world) make(t testing.TB, args ...string) string {
	t.Helper()
	var e struct {
		ID string `json:"$id"`
	}
	if err := json.Unmarshal([]byte(w.g.run(t, args...)), &e); err != nil {
		t.Fatal(err)
	}
	return e.ID
}

func (w *world) script(t testing.TB, name string) *exec.Cmd {
	t.Helper()
	cmd := script(t, w.g, name)
	cmd.Env = w.env
	return cmd
}

// background runs a program until the test ends, and waits for its line.
func (w *world) background(t testing.TB, cmd *exec.Cmd, line string) *output {
	t.Helper()
	out := new(output)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("a program of the page printed:\n%s", out)
		}
	})
	if !poll(func() bool { return strings.Contains(out.String(), line) }) {
		t.Fatalf("the program does not say %q:\n%s", line, out)
	}
	return out
}

// typescript makes a program of a block: the ids of this run, and a last line.
func (w *world) typescript(t testing.TB, text, last string) *exec.Cmd {
	t.Helper()
	for on, here := range w.ids {
		text = strings.ReplaceAll(text, on, here)
	}
	cmd := program(t, w.g, text+"\n"+last+"\n")
	cmd.Env = w.env
	return cmd
}

// hooksStand is the last line of a program with hooks: its calls wait until the
// hooks are registered.
const hooksStand = "await (await import('@headlessly/sdk')).$.Deal.find({ limit: 1 }); console.log('READY')"

func (w *world) runs(t testing.TB, text, last string) string {
	t.Helper()
	out, err := w.typescript(t, text, last).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\nprinted\n%s", err, text, out)
	}
	return string(out)
}

// find gives entities from the command line.
func (w *world) find(t testing.TB, args ...string) []map[string]any {
	t.Helper()
	var page struct {
		Results []map[string]any `json:"results"`
	}
	cmd := exec.Command(binary, append([]string{"--data", w.g.dir}, args...)...) // before the call: Event has a field data
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	if err := json.Unmarshal(out, &page); err != nil {
		t.Fatal(err)
	}
	return page.Results
}

func TestThePageTypeChecksUnderStrictSettings(t *testing.T) {
	if out, err := packages(); err != nil {
		t.Fatalf("build the packages: %v\n%s", err, out)
	}
	root, err := filepath.Abs("../../jsclient")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(root, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	var files []string
	for name, text := range page(t) {
		if !strings.HasPrefix(text, "import ") {
			continue
		}
		file := strings.ReplaceAll(name, " ", "-") + ".mts"
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if len(files) != 8 {
		t.Fatalf("%d blocks are TypeScript", len(files))
	}
	check := func(files ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(root, "node_modules/.bin/tsc"), append([]string{
			"--noEmit", "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--target", "es2022",
			"--module", "nodenext", "--moduleResolution", "nodenext", "--types", "node", "--lib", "es2022",
		}, files...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := check(files...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "wrong.mts"), []byte("import { Integration } from '@headlessly/platform'\nawait Integration.connect({ provider: 7 })\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := check("wrong.mts"); err == nil || !strings.Contains(out, "'number' is not assignable") {
		t.Errorf("a wrong argument: got %v %s", err, out)
	}
}

func TestThePageThatUsersPasteFromRuns(t *testing.T) {
	blocks := page(t)
	w := newWorld(t)

	out := w.runs(t, blocks["connect three"], "console.log(active.map(i => i.provider).sort().join(' ')); await (await import('@headlessly/sdk')).$.close()")
	if !strings.Contains(out, "github slack stripe") {
		t.Errorf("connected and active: got %q", out)
	}
	out = w.runs(t, blocks["connect stripe"], "console.log(stripe.$id)")
	stripeID := strings.TrimSpace(out)
	if !strings.HasPrefix(stripeID, "integration_") {
		t.Fatalf("stripe.$id is %q", out)
	}
	wait(t, "the initial sync has brought the customers", func() bool { return len(w.find(t, "Customer.find")) == 3 })

	w.verbs(t, blocks["verbs and hooks"], stripeID)
	w.subscriptions(t, blocks["stripe"])
	w.issues(t, blocks["github"])
	w.webhooks(t, blocks["webhook"], blocks["delivery"])

	w.runs(t, blocks["analytics"], "")
	if got := w.find(t, "Integration.find", "--provider", "analytics", "--status", "Active"); len(got) != 1 {
		t.Errorf("analytics: got %v", got)
	}
	w.agents(t, blocks, stripeID)
	w.health(t, blocks["status"])
	w.commandLine(t, blocks["cli"], stripeID)
}

func (w *world) verbs(t *testing.T, text, stripeID string) {
	t.Helper()
	slackID, _ := w.find(t, "Integration.find", "--provider", "slack")[0]["$id"].(string)
	text = strings.Replace(text, "disconnect({ id: 'integration_hV6nRxWm'", "disconnect({ id: '"+slackID+"'", 1)
	text = strings.ReplaceAll(text, "integration_hV6nRxWm", stripeID)
	out := w.background(t, w.typescript(t, text, hooksStand), "READY")
	w.g.run(t, "Integration.sync", stripeID)
	wait(t, "the hooks of sync run", func() bool { return strings.Contains(out.String(), "Syncing stripe...") })
	wait(t, "the hook's event is recorded", func() bool {
		events := w.find(t, "Event.find", "--type", "integration_synced")
		return len(events) > 0 && events[0]["provider"] == "stripe" && events[0]["entities"] != nil
	})
	reconnect := w.typescript(t, "import { Integration } from '@headlessly/platform'\nawait Integration.connect({ provider: 'slack', webhook: process.env.SLACK_WEBHOOK })", "")
	if b, err := reconnect.CombinedOutput(); err != nil {
		t.Fatalf("connect again: %v\n%s", err, b)
	}
	wait(t, "the hooks of connect run", func() bool {
		return strings.Contains(out.String(), "Connecting to slack...") && strings.Contains(out.String(), "slack connected -- initial sync starting")
	})
}

func (w *world) subscriptions(t *testing.T, text string) {
	t.Helper()
	w.background(t, w.typescript(t, text, hooksStand), "READY")
	contact := w.ids["contact_fX9bL5nRd"]
	subs := w.find(t, "Subscription.find", "--contact", contact)
	if len(subs) != 1 {
		t.Fatalf("subscriptions of the contact: got %v", subs)
	}
	id, _ := subs[0]["stripeSubscriptionId"].(string)
	if at := w.stripe.Get(id); at == nil {
		t.Fatalf("Stripe has no subscription %q: %v", id, subs[0])
	}
	w.stripe.Webhooks() // what came of our own calls may be lost
	w.stripe.Act("DELETE", "/v1/subscriptions/"+id, "")
	sent := w.stripe.Webhooks()
	if len(sent) == 0 {
		t.Fatal("Stripe has no webhook to send: none is registered")
	}
	for _, d := range sent {
		req, err := http.NewRequest(http.MethodPost, d.URL, strings.NewReader(string(d.Body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Stripe-Signature", d.Signature)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode/100 != 2 {
			t.Fatalf("%s answers %d", d.URL, res.StatusCode)
		}
	}
	wait(t, "a cancellation at Stripe changes contact and campaign", func() bool {
		c := w.find(t, "Contact.find", "--email", "ada@example.com")
		m := w.find(t, "Campaign.find", "--name", "Win back")
		list, _ := m[0]["contacts"].([]any)
		return len(c) == 1 && c[0]["stage"] == "Churned" && len(list) == 1 && list[0] == contact
	})
}

func (w *world) issues(t *testing.T, text string) {
	t.Helper()
	wait(t, "the repository is a project", func() bool { return len(w.find(t, "Project.find", "--githubRepo", "acme/product")) == 1 })
	w.ids["project_e5JhLzXc"], _ = w.find(t, "Project.find", "--githubRepo", "acme/product")[0]["$id"].(string)
	w.background(t, w.typescript(t, text, hooksStand), "READY")
	issues := w.find(t, "Issue.find", "--title", "Add dark mode")
	if len(issues) != 1 || issues[0]["githubNumber"] == nil {
		t.Fatalf("the issue is not at GitHub: %v", issues)
	}
	id, _ := issues[0]["$id"].(string)
	w.g.run(t, "Issue.complete", id)
	wait(t, "completing it closes it there, and the hook records it", func() bool {
		events := w.find(t, "Event.find", "--type", "issue_closed")
		return len(events) == 1 && events[0]["project"] == w.ids["project_e5JhLzXc"]
	})
	if again := w.find(t, "Issue.find", "--title", "Add dark mode"); len(again) != 1 || again[0]["status"] != "Done" {
		t.Errorf("after completing: %v", again)
	}
}

// agents does what the page shows an agent do.
func (w *world) agents(t *testing.T, blocks map[string]string, stripeID string) {
	t.Helper()
	connect := strings.ReplaceAll(blocks["mcp connect"], "process.env.STRIPE_KEY", "'"+stripetest.LiveKey+"'")
	if out := w.g.run(t, "do", connect); !strings.Contains(out, stripeID) {
		t.Errorf("do connects: got %s", out)
	}
	var list struct{ Filter json.RawMessage }
	if err := json.Unmarshal([]byte(blocks["mcp list"]), &list); err != nil {
		t.Fatal(err)
	}
	if out := w.g.run(t, "search", "Integration", "--filter", string(list.Filter)); !strings.Contains(out, stripeID) {
		t.Errorf("search: got %s", out)
	}
	if out := w.g.run(t, "do", strings.ReplaceAll(blocks["mcp sync"], "integration_hV6nRxWm", stripeID)); !strings.Contains(out, stripeID) {
		t.Errorf("do syncs: got %s", out)
	}
}

func (w *world) webhooks(t *testing.T, text, sample string) {
	t.Helper()
	w.runs(t, text, "")
	deal := w.make(t, "Deal.create", "--name", "Enterprise", "--value", "50000", "--contact", w.ids["contact_fX9bL5nRd"])
	w.g.run(t, "Deal.close", deal)
	wait(t, "the delivery arrives", func() bool { return len(w.hookDeliveries()) > 0 })
	d := w.hookDeliveries()[0]
	var got, want map[string]any
	if err := json.Unmarshal([]byte(d.body), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(sample), &want); err != nil {
		t.Fatal(err)
	}
	data, _ := got["data"].(map[string]any)
	for field := range want {
		if got[field] == nil {
			t.Errorf("the delivery has no %q: %s", field, d.body)
		}
	}
	if got["event"] != "Deal.Closed" || data["name"] != "Enterprise" || data["value"] != 50000.0 || data["$id"] != deal {
		t.Errorf("got %s", d.body)
	}
	file := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(file, []byte(d.body), 0o600); err != nil {
		t.Fatal(err)
	}
	verify := program(t, w.g, `import { verifyWebhook } from '@headlessly/sdk'
import { readFileSync } from 'node:fs'
const body = await verifyWebhook(readFileSync(process.env.BODY!), JSON.parse(process.env.HEADERS!), process.env.WEBHOOK_SECRET!)
console.log('verified', body.event)`)
	headers := map[string]string{}
	for name := range d.header {
		headers[strings.ToLower(name)] = d.header.Get(name)
	}
	raw, err := json.Marshal(headers)
	if err != nil {
		t.Fatal(err)
	}
	verify.Env = append(w.env, "BODY="+file, "HEADERS="+string(raw))
	if out, err := verify.CombinedOutput(); err != nil || !strings.Contains(string(out), "verified Deal.Closed") {
		t.Errorf("the SDK's verification: %v\n%s", err, out)
	}
}

func (w *world) health(t *testing.T, text string) {
	t.Helper()
	wait(t, "the sync that the agent asked for has ended", func() bool {
		found := w.find(t, "Integration.find", "--provider", "stripe")
		return len(found) == 1 && found[0]["status"] == "Synced"
	})
	out := w.background(t, w.typescript(t, text, hooksStand), "READY")
	if !strings.Contains(out.String(), "stripe: Synced -- last sync 20") {
		t.Errorf("status: got %s", out)
	}
	w.stripe.Revoke(stripetest.LiveKey)
	id, _ := w.find(t, "Integration.find", "--provider", "stripe")[0]["$id"].(string)
	_, _ = w.g.try("Integration.sync", id) // it is refused now
	wait(t, "the agent is told of the error", func() bool {
		out := w.g.run(t, "Agent.history", w.ids["agent_pR7xMwKn"], "--json")
		return strings.Contains(out, "Agent.Notified") && strings.Contains(out, "Integration stripe failed: ")
	})
}

func (w *world) commandLine(t *testing.T, text, stripeID string) {
	t.Helper()
	cli, err := filepath.Abs("../../jsclient/packages/cli/bin/headlessly.js")
	if err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "integration_hV6nRxWm", stripeID), "npx @headlessly/cli", "node "+cli)
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", text)
	cmd.Env = append(w.env, "STRIPE_KEY="+stripetest.LiveKey+"_rolled") // the first one is refused by now
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := w.find(t, "Integration.find", "--provider", "stripe"); len(got) != 1 || got[0]["status"] != "Disconnected" {
		t.Errorf("after the page's last line: got %v\n%s", got, out)
	}
}
