package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly/forwarders/sinks"
)

// resident is one of two tenants of a gateway. Its canary is in everything that
// it puts in; seen is everything that comes out to it, by face.
type resident struct {
	tenant, canary      string
	key, public         string
	contact, handler    string // ids
	hook, inbound, keyN string // ids
	replay, forgotten   string // ids
	message             string // id of an event
	sinks               *sinks.Sinks
	sinksHost           string
	posted              *stream // what its webhook's endpoint took
	streams             map[string]*stream

	seen map[string]string
	own  map[string]bool // the faces on which its own canary must be
}

func (r *resident) path(format string, args ...any) string {
	return "/~" + r.tenant + fmt.Sprintf(format, args...)
}

// note keeps what a face showed.
func (r *resident) note(face, text string, own bool) {
	r.seen[face] += text + "\n"
	r.own[face] = r.own[face] || own
}

// TestNoFaceShowsAnotherTenantsCanary has two tenants put canaries into all that
// they can put in, and looks for each canary in all that the other gets out: it
// must be nowhere, and the tenant's own must be there.
func TestNoFaceShowsAnotherTenantsCanary(t *testing.T) {
	g := newGateway(t, "egress: {allowPrivate: true}\nlakehouse: {commitInterval: 200ms}\ntenants: {alpha: {}, beta: {}}")
	admin := g.credentials(t).AdminKey
	both := []*resident{newResident(t, g, admin, "alpha"), newResident(t, g, admin, "beta")}
	for _, r := range both {
		r.listen(t, g)
	}
	for _, r := range both {
		r.plant(t, g)
	}
	for _, r := range both {
		r.arrive(t, g)
	}
	for i, r := range both {
		r.rest(t, g, both[1-i])
		r.sql(t, g, both[1-i])
		r.agent(t, g, both[1-i])
		r.commandLine(t, g, both[1-i])
		r.strange(t, g, both[1-i])
		r.collected()
	}
	for i, r := range both {
		other := both[1-i]
		for face, text := range r.seen {
			if at := strings.Index(text, other.canary); at >= 0 {
				t.Errorf("%s shows %s what is %s's: …%s…", face, r.tenant, other.tenant, text[max(0, at-200):min(len(text), at+200)])
			}
			if r.own[face] && !strings.Contains(text, r.canary) {
				t.Errorf("%s does not show %s its own, so it shows nothing of worth: %.500s", face, r.tenant, text)
			}
		}
		if len(r.seen) < 60 {
			t.Errorf("%s was shown %d faces only", r.tenant, len(r.seen))
		}
	}
}

func newResident(t *testing.T, g *gateway, admin, tenant string) *resident {
	t.Helper()
	r := &resident{tenant: tenant, canary: "canary-of-" + tenant, message: uuid.NewString(), posted: new(stream), streams: map[string]*stream{}, seen: map[string]string{}, own: map[string]bool{}}
	r.key = g.rest(t, admin, "POST", r.path("/keys"), `{"name":"main","kind":"secret"}`, 201).text("key")
	r.public = g.rest(t, admin, "POST", r.path("/keys"), `{"name":"page","kind":"public"}`, 201).text("key")
	r.sinks, r.sinksHost = providers(t)
	return r
}

// listen opens everything that shows what happens from now on.
func (r *resident) listen(t *testing.T, g *gateway) {
	t.Helper()
	r.streams["server-sent events"] = g.sse(t, r.key, r.path("/events/stream?after=0"))
	_, r.streams["the events' WebSocket"] = g.socket(t, r.key, r.path("/events/ws?after=0"), nil)
	r.streams["a client's after hook"] = g.hook(t, r.key, r.tenant, map[string]any{"id": "r1", "hook": "*.created"}, func(m map[string]any) any {
		if m["type"] == "after" {
			return map[string]any{"type": "ack", "id": m["id"], "seq": m["seq"]}
		}
		return nil
	})
	r.streams["a client's before hook"] = g.hook(t, r.key, r.tenant, map[string]any{"id": "r1", "hook": "*.creating", "deadlineMs": 10000}, func(m map[string]any) any {
		if m["type"] == "before" {
			return map[string]any{"type": "answer", "callId": m["callId"]}
		}
		return nil
	})
	tail := new(stream)
	r.streams["the tail"] = tail
	cmd := exec.Command(binary, "tail")
	cmd.Env = r.environment(g)
	out := new(output)
	cmd.Stdout, cmd.Stderr = lines{tail}, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	wait(t, "the tail watches", func() bool { return strings.Contains(out.String(), "watching") || tail.has("watching") })
}

// lines is a writer into a stream.
type lines struct{ s *stream }

func (l lines) Write(p []byte) (int, error) {
	l.s.add(string(p))
	return len(p), nil
}

// environment is that of the command line elsewhere, with no folder at hand.
func (r *resident) environment(g *gateway) []string {
	return append(os.Environ(), "HEADLESSLY_URL=http://"+g.control, "HEADLESSLY_TENANT="+r.tenant, "HEADLESSLY_API_KEY="+r.key, "HOME="+g.dir+"/nobody", "NO_COLOR=1")
}

// plant puts the canary into everything.
func (r *resident) plant(t *testing.T, g *gateway) {
	t.Helper()
	c := r.canary
	mine := func(method, path, body string, want int) answer {
		t.Helper()
		return g.rest(t, r.key, method, r.path("%s", path), body, want)
	}
	endpoint := httptest.NewServer(r.endpoint())
	t.Cleanup(endpoint.Close)
	connected := mine("POST", "/webhooks", fmt.Sprintf(`{"name":%q,"url":%q,"events":["*"],"headers":{"X-Of":%q}}`, c, endpoint.URL+"/"+c, c), 201)
	integration, _ := connected.object["integration"].(map[string]any)
	r.hook, _ = integration["$id"].(string)
	in := mine("POST", "/webhooks", fmt.Sprintf(`{"name":%q,"webhookSecret":"a shared secret of %s","inbound":{"verify":"secret","header":"X-Token","event":{"name":"body.name","type":"'inbound'"}}}`, c, c), 201)
	integration, _ = in.object["integration"].(map[string]any)
	r.inbound, _ = integration["$id"].(string)
	mine("POST", "/Integration/connect", fmt.Sprintf(`{"provider":"analytics","destinations":{"posthog":{"apiKey":"phc_%s","host":"http://%s"}}}`, c, r.sinksHost), 200)

	// A handler that shows what it can see, where its tenant can read it.
	r.handler = mine("POST", "/Handler", fmt.Sprintf(`{"name":%q,"note":%q,"hook":"Contact.created","deadlineMs":10000,"source":%q}`, "looks-"+r.tenant, c,
		`async (contact, $, event) => { console.log(contact.name); await $.Project.create({ name: 'seen by the handler', description: JSON.stringify([contact, event, await $.Contact.find({}, { limit: 100 }), await $.events({ limit: 100 }), await $.status()]) }) }`), 201).text("$id")
	r.contact = mine("POST", "/Contact", fmt.Sprintf(`{"name":%q,"email":"%s@example.com","organization":%q}`, c, c, c), 201).text("$id")
	mine("POST", "/Contact/"+r.contact+"/qualify", "", 200)
	mine("POST", "/Deal", fmt.Sprintf(`{"name":%q,"contact":%q}`, c, r.contact), 201)
	mine("POST", "/Metric", fmt.Sprintf(`{"name":%q,"value":1}`, c), 201)
	mine("POST", "/batch", fmt.Sprintf(`[{"type":"Ticket","verb":"create","data":{"subject":%q}}]`, c), 200)
	mine("POST", "/import?type=Campaign", fmt.Sprintf(`{"$type":"Campaign","name":%q}`, c), 200)
	r.keyN = mine("POST", "/keys", fmt.Sprintf(`{"name":%q,"kind":"secret"}`, c), 201).text("$id")
	for user, message := range map[string]string{"user-" + c: r.message, "gone-" + c: uuid.NewString()} {
		body := fmt.Sprintf(`{"key":%q,"events":[{"event":%q,"messageId":%q,"userId":%q,"properties":{"secret":%q}},{"event":7,"why":%q}]}`, r.public, c, message, user, c, c)
		if status, raw := g.post(t, "/e", body); status != 202 {
			t.Fatalf("events of %s: %d %s", r.tenant, status, raw)
		}
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+g.listen+r.path("/in/webhook/%s", r.inbound), strings.NewReader(fmt.Sprintf(`{"name":"in-%s"}`, c)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Token", "a shared secret of "+c)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 {
		t.Fatalf("an inbound webhook of %s: %d %s", r.tenant, res.StatusCode, raw)
	}
}

// endpoint takes what the tenant's webhook is sent.
func (r *resident) endpoint() http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		var b bytes.Buffer
		_ = q.Header.Write(&b)
		_, _ = io.Copy(&b, q.Body)
		r.posted.add(q.URL.Path + "\n" + b.String())
	})
}

// arrive waits until what was put in has come out where it takes a while.
func (r *resident) arrive(t *testing.T, g *gateway) {
	t.Helper()
	wait(t, "the webhook's endpoint has the contact", func() bool { return r.posted.has("Contact.Qualified") })
	wait(t, "the destination has the events", func() bool { return len(r.sinks.Events("posthog")) >= 2 })
	wait(t, "the handler has looked", func() bool {
		a, err := g.do(t.Context(), r.key, "GET", r.path("/Project?filter=%s", url.QueryEscape(`{"name":"seen by the handler"}`)), "")
		return err == nil && a.object["total"] == 1.0
	})
	wait(t, "the inbound webhook is an event", func() bool {
		a, err := g.do(t.Context(), r.key, "GET", r.path("/Event"), "")
		return err == nil && strings.Contains(a.raw, "in-"+r.canary)
	})
	wait(t, "an attempt at the destination is a row", func() bool {
		a, err := g.do(t.Context(), r.key, "GET", r.path("/deliveries?limit=1000"), "")
		return err == nil && strings.Contains(a.raw, r.canary)
	})
	for name, s := range r.streams {
		wait(t, name+" has the canary", func() bool { return s.has(r.canary) })
	}
	started := g.rest(t, r.key, "POST", r.path("/replays"), fmt.Sprintf(`{"destination":"posthog","filter":"event == '%s'","dryRun":true}`, r.canary), 202)
	r.replay = started.text("id")
	r.note("the replay's beginning", started.raw, true)
	gone := g.rest(t, r.key, "POST", r.path("/forget"), fmt.Sprintf(`{"userId":"gone-%s"}`, r.canary), 200)
	r.forgotten = gone.text("id")
	r.note("the deletion's receipt", gone.raw, false) // it names nobody
}

// collected notes what the streams have shown until now.
func (r *resident) collected() {
	for name, s := range r.streams {
		r.note(name, strings.Join(s.all(), "\n"), true)
	}
	r.note("the webhook's endpoint", strings.Join(r.posted.all(), "\n"), true)
	r.note("the destination", fmt.Sprintf("%+v", r.sinks.Events("posthog")), true)
}

// try runs the product's command line as the tenant, elsewhere.
func (r *resident) try(g *gateway, args ...string) string {
	cmd := exec.Command(binary, args...)
	cmd.Env = r.environment(g)
	var both bytes.Buffer
	var mu sync.Mutex
	w := locked{&mu, &both}
	cmd.Stdout, cmd.Stderr = w, w
	_ = cmd.Run() // a refusal shows what it shows
	return both.String()
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
