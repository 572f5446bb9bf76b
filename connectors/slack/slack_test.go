package slack_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/outbox"
	"github.com/headlessly/headlessly/connectors/outbox/outboxtest"
	"github.com/headlessly/headlessly/connectors/slack"
	"github.com/headlessly/headlessly/connectors/slack/slacktest"
)

type fields = map[string]any

const id = "integration_slack"

type rig struct {
	t     testing.TB
	graph *graph.Store
	acme  *graph.Scope
	clock *outboxtest.Clock
	box   *outbox.Box
	c     *slack.Connector
	slack *slacktest.Slack
	url   string
	mu    sync.Mutex
	fails []string
}

func start(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, clock: outboxtest.NewClock()}
	r.slack = &slacktest.Slack{Clock: r.clock.Now}
	server := httptest.NewServer(r.slack)
	t.Cleanup(server.Close)
	r.url = server.URL
	r.graph = outboxtest.Graph(t, t.TempDir())
	r.acme = outboxtest.Scope(t, r.graph)
	r.box = outboxtest.Box(t, r.graph, r.clock, nil)
	r.c = slack.New(r.box, func(ctx context.Context, _ string) error { return ctx.Err() })
	return r
}

func (r *rig) link(f fields, hook string) *connectors.Link {
	r.t.Helper()
	all := fields{"apiBaseUrl": r.url}
	for k, v := range f {
		all[k] = v
	}
	return outboxtest.Link(r.t, r.graph, r.clock, id, all, map[string]string{"webhook": hook}, func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil {
			r.fails = append(r.fails, err.Error())
		}
	})
}

func (r *rig) connect(f fields) *connectors.Link {
	r.t.Helper()
	l := r.link(f, r.url+slacktest.Path)
	if err := r.c.Validate(r.t.Context(), l); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.c.Attach(r.t.Context(), l); err != nil {
		r.t.Fatal(err)
	}
	return l
}

func (r *rig) posted(n int) []slacktest.Message {
	r.t.Helper()
	outboxtest.Until(r.t, "messages are posted", func() bool { return len(r.slack.Posted()) >= n })
	return r.slack.Posted()
}

func must(t testing.TB) func(*graph.Entity, error) *graph.Entity {
	t.Helper()
	return func(e *graph.Entity, err error) *graph.Entity {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
}

// show writes a message as a person would read it.
func show(m slacktest.Message) string {
	var lines []string
	for _, b := range m.Blocks {
		if b.Text != nil {
			lines = append(lines, b.Text.Text)
		}
		for _, f := range b.Fields {
			lines = append(lines, "| "+strings.ReplaceAll(f.Text, "\n", ": "))
		}
		for _, e := range b.Elements {
			lines = append(lines, "_"+e.Text)
		}
	}
	return strings.Join(lines, "\n")
}

func TestAnEventBecomesAMessageThatPeopleRead(t *testing.T) {
	r := start(t)
	r.connect(fields{"events": []any{"Deal.Closed"}})
	if n := len(r.slack.Posted()); n != 0 {
		t.Fatalf("connecting posted %d messages", n)
	}
	deal := must(t)(r.acme.Create(t.Context(), "Deal", fields{"name": "Enterprise <!channel>", "value": 50000, "stage": "Open"}))
	must(t)(r.acme.Verb(t.Context(), "Deal", "close", deal.ID, fields{"value": 60000}))
	got := show(r.posted(1)[0])
	lines := strings.Split(got, "\n")
	want := []string{"*Deal closed*: Enterprise &lt;!channel&gt;", "| *Stage*: Open → Closed", "| *Value*: 50000 → 60000"}
	if len(lines) != 4 || strings.Join(lines[:3], "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if !strings.HasPrefix(lines[3], "_`"+deal.ID+"` · <!date^") || !strings.HasSuffix(lines[3], "· by apikey_test") {
		t.Errorf("got the footer %s", lines[3])
	}
}

func TestTemplatesReplaceTheFirstLine(t *testing.T) {
	r := start(t)
	r.connect(fields{"events": []any{"Deal.*"}, "templates": fields{
		"*":           "never the most exact",
		"Deal.*":      "{{event}} of {{ name }}",
		"Deal.Closed": "*{{data.name}}* went from {{previous.stage}} to {{stage}}, {{unknown}}worth {{value}}",
	}})
	deal := must(t)(r.acme.Create(t.Context(), "Deal", fields{"name": "A & B", "value": 5, "stage": "Open"}))
	if got := r.posted(1)[0].Blocks[0].Text.Text; got != "Deal.Created of A &amp; B" {
		t.Errorf("got %q", got)
	}
	r.clock.Forward(2 * time.Second)
	must(t)(r.acme.Verb(t.Context(), "Deal", "close", deal.ID, nil))
	if got := r.posted(2)[1].Blocks[0].Text.Text; got != "*A &amp; B* went from Open to Closed, worth 5" {
		t.Errorf("got %q", got)
	}
}

func TestAFloodKeepsToSlacksRateAndGathers(t *testing.T) {
	r := start(t)
	r.connect(fields{"events": []any{"Deal.Created"}})
	for range 45 {
		must(t)(r.acme.Create(t.Context(), "Deal", fields{"name": "one of many"}))
	}
	done := func() bool {
		c, err := r.box.Count(t.Context(), "acme", id)
		return err == nil && c.Delivered == 45
	}
	for !done() { // time moves while nothing is under way
		n, patience := len(r.slack.Posted()), time.Now().Add(10*time.Second)
		r.clock.Forward(1200 * time.Millisecond)
		for len(r.slack.Posted()) == n && !done() && time.Now().Before(patience) {
			time.Sleep(time.Millisecond)
		}
	}
	if n := r.slack.Limited(); n != 0 {
		t.Errorf("got %d messages too soon, want none", n)
	}
	posted := 0
	for _, m := range r.slack.Posted() {
		posted += strings.Count(show(m), "one of many")
	}
	if posted != 45 || len(r.slack.Posted()) > 30 {
		t.Errorf("got %d events in %d messages, want 45 in few", posted, len(r.slack.Posted()))
	}
}

func TestRetryAfterIsKeptTo(t *testing.T) {
	r := start(t)
	r.connect(fields{"events": []any{"Deal.Created"}})
	if err := r.c.Test(t.Context(), id); err != nil { // it uses this second up
		t.Fatal(err)
	}
	must(t)(r.acme.Create(t.Context(), "Deal", fields{"name": "held back"}))
	outboxtest.Until(t, "Slack refuses", func() bool { return r.slack.Limited() == 1 })
	outboxtest.Until(t, "the pause is noted", func() bool {
		d, err := r.box.Deliveries(t.Context(), "acme", id, outbox.Query{Limit: 1})
		return err == nil && d[0].Status == 429 && d[0].Due.Sub(r.clock.Now()) == 30*time.Second
	})
	r.clock.Forward(29 * time.Second)
	if n := len(r.slack.Posted()); n != 1 {
		t.Fatalf("got %d messages within Retry-After, want the test's only", n)
	}
	r.clock.Forward(time.Second)
	r.posted(2)
}

func TestAWebhookThatIsTakenAwayStopsAndIsTold(t *testing.T) {
	for _, word := range []string{"no_service", "channel_is_archived", "action_prohibited"} {
		t.Run(word, func(t *testing.T) {
			r := start(t)
			r.connect(fields{"events": []any{"Deal.Created"}})
			r.slack.Revoke(word)
			must(t)(r.acme.Create(t.Context(), "Deal", fields{"name": "one"}))
			outboxtest.Until(t, "its health is told", func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return len(r.fails) == 1 && strings.Contains(r.fails[0], word)
			})
			err := r.c.Validate(t.Context(), r.link(nil, r.url+slacktest.Path))
			var refused *connectors.CredentialError
			if !errors.As(err, &refused) || refused.Field != "webhook" {
				t.Errorf("connecting it: got %v, want a refused credential", err)
			}
		})
	}
}

func TestAnOutageIsRetried(t *testing.T) {
	r := start(t)
	r.connect(fields{"events": []any{"Deal.Created"}})
	r.slack.Fail(1)
	must(t)(r.acme.Create(t.Context(), "Deal", fields{"name": "one"}))
	outboxtest.Until(t, "the failure is on disk", func() bool {
		d, err := r.box.Deliveries(t.Context(), "acme", id, outbox.Query{Limit: 1})
		return err == nil && len(d) == 1 && d[0].Status == 500
	})
	r.clock.Forward(30 * time.Second)
	r.posted(1)
}

func TestArgumentsAtFaultAreNamed(t *testing.T) {
	r := start(t)
	for _, c := range []struct {
		name, hook string
		fields     fields
		field      string
	}{
		{"no webhook", "", nil, "webhook"},
		{"no URL", "hooks", nil, "webhook"},
		{"another host", "https://example.com/services/T/B/x", fields{"apiBaseUrl": ""}, "webhook"},
		{"another path of Slack's", "https://hooks.slack.com/workflows/T/B/x", fields{"apiBaseUrl": ""}, "webhook"},
		{"events that no type has", r.url + slacktest.Path, fields{"events": []any{"Deal.Clsed"}}, "events[0]"},
		{"events without a dot", r.url + slacktest.Path, fields{"events": []any{"everything"}}, "events[0]"},
		{"a template that is no text", r.url + slacktest.Path, fields{"templates": fields{"Deal.*": 5}}, "templates"},
		{"an unknown webhook", r.url + "/services/T0/B0/other", nil, "Slack does not take"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := r.c.Validate(t.Context(), r.link(c.fields, c.hook))
			if err == nil || !strings.Contains(err.Error(), c.field) {
				t.Errorf("got %v, want a fault of %s", err, c.field)
			}
			if err != nil && c.hook != "" && strings.Contains(err.Error(), c.hook) && len(c.hook) > 8 {
				t.Errorf("the credential shows in %v", err)
			}
		})
	}
}
