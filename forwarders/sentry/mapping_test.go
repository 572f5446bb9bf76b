package sentry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/sentry"
)

func TestMapping(t *testing.T) {
	now := headlessly.SystemClock().Truncate(time.Microsecond)
	for _, row := range []struct {
		name   string
		kind   string
		change func(*headlessly.Event)
		want   map[string]string // JSON at a path
	}{
		{"an error: ids, release, place", headlessly.TypeError, nil, map[string]string{
			"event_id": `"` + strings.ReplaceAll(forwardertest.ID(1), "-", "") + `"`, "platform": `"javascript"`, "level": `"error"`,
			"timestamp": `"` + now.UTC().Format(time.RFC3339Nano) + `"`, "release": `"shop@1.2.3"`, "environment": `"production"`,
			"transaction": `"/cart"`, "request/url": `"https://shop.example/cart?utm_source=news"`, "server_name": "",
			"request/headers/Referer": `"https://search.example/"`,
		}},
		{"the cause first, the thrown one last", headlessly.TypeError, nil, map[string]string{
			"exception/0/type": `"RangeError"`, "exception/0/value": `"cause"`, "exception/1/type": `"TypeError"`, "exception/1/value": `"x is undefined"`,
			"exception/1/mechanism/type": `"auto.browser.global_handlers.onerror"`, "exception/1/mechanism/handled": "false",
			"exception/0/mechanism/type": `"chained"`, "exception/0/mechanism/parent_id": "0", "exception/0/mechanism/exception_id": "1",
		}},
		{"the crashing frame last", headlessly.TypeError, nil, map[string]string{
			"exception/1/stacktrace/frames/0/function": `"outer"`, "exception/1/stacktrace/frames/1/function": `"inner"`,
			"exception/1/stacktrace/frames/1/lineno": "10", "exception/1/stacktrace/frames/1/colno": "5", "exception/1/stacktrace/frames/1/in_app": "true",
			"exception/1/stacktrace/frames/1/filename": `"https://shop.example/a.js"`,
		}},
		{"frames in Sentry's own form keep their order", headlessly.TypeError, func(e *headlessly.Event) {
			e.ErrorStack = `[{"type":"E","value":"v","stacktrace":{"frames":[{"function":"outer"},{"function":"inner"}]}}]`
		}, map[string]string{"exception/0/stacktrace/frames/1/function": `"inner"`}},
		{"an error without a stack", headlessly.TypeError, func(e *headlessly.Event) { e.ErrorStack = "" }, map[string]string{
			"exception/0/type": `"TypeError"`, "exception/0/value": `"x is undefined"`, "exception/0/stacktrace": "",
		}},
		{"user from the context, address truncated", headlessly.TypeError, nil, map[string]string{
			"user/id": `"user-1"`, "user/email": `"ada@shop.example"`, "user/ip_address": `"203.0.113.0"`,
		}},
		{"the event's user before the context's", headlessly.TypeError, func(e *headlessly.Event) { e.UserID = "user-2" }, map[string]string{"user/id": `"user-2"`}},
		{"a visitor without a name", headlessly.TypeMessage, nil, map[string]string{"user/id": `"0192f0c1-2c40-7c3e-9a55-0b6a7d1c9e01"`}},
		{"tags, extra and contexts", headlessly.TypeError, nil, map[string]string{
			"tags/cart": `"big"`, "extra/items": "3", "contexts/shop/theme": `"dark"`,
			"contexts/browser": `{"name":"Chrome","version":"140.0"}`, "contexts/os/name": `"Linux"`, "contexts/culture/timezone": `"Europe/Berlin"`,
		}},
		{"tags of other types become text", headlessly.TypeError, func(e *headlessly.Event) { e.Context = `{"tags":{"n":3,"b":true,"o":{"x":1}}}` }, map[string]string{
			"tags/n": `"3"`, "tags/b": `"true"`, "tags/o": `"{\"x\":1}"`,
		}},
		{"breadcrumbs", headlessly.TypeError, nil, map[string]string{
			"breadcrumbs/0/category": `"navigation"`, "breadcrumbs/0/data/to": `"/cart"`, "breadcrumbs/0/timestamp": `"2023-11-14T22:13:20Z"`,
		}},
		{"the gateway's fingerprint is not Sentry's grouping", headlessly.TypeError, nil, map[string]string{"fingerprint": ""}},
		{"the client's fingerprint is", headlessly.TypeError, func(e *headlessly.Event) { e.Fingerprint = "cart|empty" }, map[string]string{"fingerprint": `["cart","empty"]`}},
		{"a message", headlessly.TypeMessage, nil, map[string]string{"message": `"cart was restored"`, "level": `"info"`, "exception": ""}},
		{"a fatal error", headlessly.TypeError, func(e *headlessly.Event) { e.Level = "fatal" }, map[string]string{"level": `"fatal"`}},
		{"a level that Sentry does not know", headlessly.TypeError, func(e *headlessly.Event) { e.Level = "catastrophe" }, map[string]string{"level": `"error"`}},
		{"an error of a server", headlessly.TypeError, func(e *headlessly.Event) { e.Source = headlessly.SourceNode }, map[string]string{"platform": `"node"`}},
		{"debug ids of source maps", headlessly.TypeError, func(e *headlessly.Event) {
			e.Context = `{"debug_meta":{"images":[{"type":"sourcemap","code_file":"a.js","debug_id":"11111111-2222-4333-8444-555555555555"}]}}`
		}, map[string]string{"debug_meta/images/0/debug_id": `"11111111-2222-4333-8444-555555555555"`, "debug_meta/images/0/code_file": `"a.js"`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := forwardertest.Event("acme", row.kind, 1, now)
			if row.change != nil {
				row.change(e)
			}
			got, results := forwardertest.Send(t, sentry.Kind(), connect, e)
			if len(got) != 1 {
				t.Fatalf("%d events arrived, %v", len(got), results)
			}
			for path, want := range row.want {
				if text := forwardertest.At(got[0].Payload, path); text != want {
					t.Errorf("%s: got %s, want %s", path, text, want)
				}
			}
		})
	}
}

func TestALongStackKeepsBothEnds(t *testing.T) {
	e := forwardertest.Event("acme", headlessly.TypeError, 1, headlessly.SystemClock())
	var frames []string
	for i := range 120 { // newest first
		frames = append(frames, fmt.Sprintf(`{"function":"f%d"}`, i))
	}
	e.ErrorStack = `[{"type":"E","stacktrace":[` + strings.Join(frames, ",") + `]}]`
	got, _ := forwardertest.Send(t, sentry.Kind(), connect, e)
	for path, want := range map[string]string{
		"exception/0/stacktrace/frames/0/function": `"f119"`, "exception/0/stacktrace/frames/24/function": `"f95"`,
		"exception/0/stacktrace/frames/25/function": `"f24"`, "exception/0/stacktrace/frames/49/function": `"f0"`,
	} {
		if text := forwardertest.At(got[0].Payload, path); text != want {
			t.Errorf("%s: got %s, want %s", path, text, want)
		}
	}
}

func TestWhatIsSent(t *testing.T) {
	for _, kind := range forwardertest.Types() {
		want := kind == headlessly.TypeError || kind == headlessly.TypeMessage
		if got := sentry.Kind().Takes(&headlessly.Event{Type: kind}); got != want {
			t.Errorf("%s without a release: takes %v, want %v", kind, got, want)
		}
	}
	if !sentry.Kind().Takes(forwardertest.Event("acme", headlessly.TypeSession, 1, headlessly.SystemClock())) {
		t.Error("a session of a release is not taken")
	}
}

func TestASessionOfARelease(t *testing.T) {
	now := headlessly.SystemClock().Truncate(time.Microsecond)
	got, results := forwardertest.Send(t, sentry.Kind(), connect, forwardertest.Event("acme", headlessly.TypeSession, 1, now))
	if len(got) != 1 || got[0].Route != "session" || results[0].Err != nil {
		t.Fatalf("got %+v, %v", got, results)
	}
	for path, want := range map[string]string{
		"sid": `"0192f0c1-2c40-7c3e-9a55-0b6a7d1c9e02"`, "did": `"0192f0c1-2c40-7c3e-9a55-0b6a7d1c9e01"`, "init": "true", "status": `"ok"`,
		"started": `"` + now.UTC().Format(time.RFC3339Nano) + `"`, "attrs/release": `"shop@1.2.3"`, "attrs/environment": `"production"`,
	} {
		if text := forwardertest.At(got[0].Payload, path); text != want {
			t.Errorf("%s: got %s, want %s", path, text, want)
		}
	}
}

func TestOddEventsStayWithinSentrysRules(t *testing.T) {
	for _, kind := range []string{headlessly.TypeError, headlessly.TypeMessage} {
		for name, e := range forwardertest.Odd(kind) {
			if strings.HasPrefix(name, "nothing but") || name == "the far future" {
				continue // has no id, time or message, or a year of six digits: the collector leaves no such event
			}
			t.Run(kind+": "+name, func(t *testing.T) {
				if got, results := forwardertest.Send(t, sentry.Kind(), connect, e); results[0].Err != nil || len(got) != 1 {
					t.Errorf("%d events arrived, %v", len(got), results[0].Err)
				}
			})
		}
	}
}

func TestADSNThatCannotBeReadIsRefusedWithoutShowingIt(t *testing.T) {
	for _, dsn := range []string{
		"canary", "https://canary", "https://sentry.example/1", "https://canary@/1", "https://canary@sentry.example", "https://canary@sentry.example/",
		"ftp://canary@sentry.example/1", "https://canary@sentry.example:port/1", "\x00canary",
	} {
		_, err := sentry.New(headlessly.SentryDestination{DSN: headlessly.NewSecret(dsn)}, forwarders.Deps{})
		if err == nil {
			t.Errorf("%q was taken", dsn)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("the error shows the DSN: %v", err)
		}
	}
}
