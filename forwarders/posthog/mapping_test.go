package posthog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	library "github.com/posthog/posthog-go"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/posthog"
)

func to(capture string) func(base string) headlessly.Destinations {
	return func(base string) headlessly.Destinations {
		return headlessly.Destinations{PostHog: &headlessly.PostHogDestination{APIKey: headlessly.NewSecret("phc_x"), Host: base, Capture: capture}}
	}
}

func TestMapping(t *testing.T) {
	now := headlessly.SystemClock().Truncate(time.Microsecond)
	for _, row := range []struct {
		name   string
		kind   string
		change func(*headlessly.Event)
		want   map[string]string // JSON at a path
	}{
		{"a page view", headlessly.TypePage, nil, map[string]string{
			"event": `"$pageview"`, "uuid": `"` + forwardertest.ID(1) + `"`, "distinct_id": `"0192f0c1-2c40-7c3e-9a55-0b6a7d1c9e01"`,
			"timestamp": `"` + now.UTC().Format(time.RFC3339Nano) + `"`, "properties/$current_url": `"https://shop.example/cart?utm_source=news"`,
			"properties/$pathname": `"/cart"`, "properties/$host": `"shop.example"`, "properties/$referrer": `"https://search.example/"`,
			"properties/utm_source": `"news"`, "properties/$browser": `"Chrome"`, "properties/$os": `"Linux"`, "properties/$device_type": `"Desktop"`,
			"properties/$screen_width": `1920`, "properties/$viewport_height": `800`, "properties/$lib": `"@headlessly/js"`,
		}},
		{"a visitor without a name makes no person profile", headlessly.TypePage, nil, map[string]string{
			"properties/$process_person_profile": "false", "properties/$is_identified": "false",
		}},
		{"a known user does", headlessly.TypePage, func(e *headlessly.Event) { e.UserID = "user-1" }, map[string]string{
			"distinct_id": `"user-1"`, "properties/$process_person_profile": "", "properties/$is_identified": "true",
			"properties/$device_id": `"0192f0c1-2c40-7c3e-9a55-0b6a7d1c9e01"`,
		}},
		{"a session id that is a UUIDv7", headlessly.TypePage, nil, map[string]string{"properties/$session_id": `"0192f0c1-2c40-7c3e-9a55-0b6a7d1c9e02"`}},
		{"a session id of another form stays out of PostHog's own", headlessly.TypePage, func(e *headlessly.Event) { e.SessionID = "s-1" }, map[string]string{
			"properties/$session_id": "", "properties/session_id": `"s-1"`,
		}},
		{"the visitor's address, not the gateway's", headlessly.TypePage, nil, map[string]string{"properties/$ip": `"203.0.113.0"`, "properties/$geoip_disable": ""}},
		{"no address: no guess from the gateway's", headlessly.TypePage, func(e *headlessly.Event) { e.IP = "" }, map[string]string{
			"properties/$ip": "", "properties/$geoip_disable": "true",
		}},
		{"no referrer", headlessly.TypePage, func(e *headlessly.Event) { e.Referrer, e.ReferrerHost = "", "" }, map[string]string{
			"properties/$referrer": `"$direct"`, "properties/$referring_domain": `"$direct"`,
		}},
		{"leaving a page", headlessly.TypePageLeft, nil, map[string]string{"event": `"$pageleave"`, "properties/engagedMs": "15000"}},
		{"an event by its name, with its properties", headlessly.TypeTrack, nil, map[string]string{
			"event": `"Order Completed"`, "properties/order_id": `"o-1"`, "properties/products/0/price": "21.25",
			"properties/revenue": "42.5", "properties/currency": `"EUR"`,
		}},
		{"money in cents", headlessly.TypeTrack, func(e *headlessly.Event) { e.RevenueE4 = -1900 }, map[string]string{"properties/revenue": "-0.19"}},
		{"a type of the client's own", "wishlist", nil, map[string]string{"event": `"wishlist"`}},
		{"a screen", headlessly.TypeScreen, nil, map[string]string{"event": `"$screen"`, "properties/$screen_name": `"Settings"`}},
		{"identify merges the anonymous visitor", headlessly.TypeIdentify, nil, map[string]string{
			"event": `"$identify"`, "distinct_id": `"user-1"`, "properties/$anon_distinct_id": `"0192f0c1-2c40-7c3e-9a55-0b6a7d1c9e01"`,
			"properties/$set/plan": `"pro"`, "properties/$process_person_profile": "",
		}},
		{"identify with traits to set once", headlessly.TypeIdentify, func(e *headlessly.Event) { e.Traits = `{"a":1,"$set_once":{"b":2}}` }, map[string]string{
			"properties/$set": `{"a":1}`, "properties/$set_once": `{"b":2}`,
		}},
		{"a group", headlessly.TypeGroup, nil, map[string]string{
			"event": `"$groupidentify"`, "properties/$group_type": `"company"`, "properties/$group_key": `"acme"`, "properties/$group_set": `{"seats":12}`,
			"properties/$groups": `{"company":"acme"}`,
		}},
		{"a group of a kind that the client names", headlessly.TypeGroup, func(e *headlessly.Event) { e.Properties = `{"groupType":"project"}` }, map[string]string{
			"properties/$group_type": `"project"`, "properties/$groups": `{"project":"acme"}`,
		}},
		{"an event of a group's member", headlessly.TypeTrack, func(e *headlessly.Event) { e.GroupID = "acme" }, map[string]string{"properties/$groups": `{"company":"acme"}`}},
		{"an alias", headlessly.TypeAlias, nil, map[string]string{
			"event": `"$create_alias"`, "distinct_id": `"user-1"`, "properties/alias": `"0192f0c1-2c40-7c3e-9a55-0b6a7d1c9e01"`,
		}},
		{"an error, thrown first, frames crashing last", headlessly.TypeError, nil, map[string]string{
			"event": `"$exception"`, "properties/$exception_list/0/type": `"TypeError"`, "properties/$exception_list/1/type": `"RangeError"`,
			"properties/$exception_list/0/mechanism/handled": "false", "properties/$exception_list/0/stacktrace/type": `"raw"`,
			"properties/$exception_list/0/stacktrace/frames/0/function": `"outer"`, "properties/$exception_list/0/stacktrace/frames/1/function": `"inner"`,
			"properties/$exception_list/0/stacktrace/frames/1/lineno": "10", "properties/$exception_list/0/stacktrace/frames/1/platform": `"web:javascript"`,
			"properties/$exception_level": `"error"`, "properties/$exception_fingerprint": "",
		}},
		{"an error that the client grouped", headlessly.TypeError, func(e *headlessly.Event) { e.Fingerprint = "cart|empty" }, map[string]string{
			"properties/$exception_fingerprint": `"cart|empty"`,
		}},
		{"an error of a server", headlessly.TypeError, func(e *headlessly.Event) { e.Source = headlessly.SourceNode }, map[string]string{
			"properties/$exception_list/0/stacktrace/frames/0/platform": `"node:javascript"`,
		}},
		{"a message", headlessly.TypeMessage, nil, map[string]string{
			"event": `"$exception"`, "properties/$exception_list/0/value": `"cart was restored"`, "properties/$exception_level": `"info"`,
		}},
		{"a web vital", headlessly.TypeVital, nil, map[string]string{
			"event": `"$web_vitals"`, "properties/$web_vitals_LCP_value": "1234.5", "properties/$web_vitals_LCP_event/rating": `"good"`,
		}},
		{"a click", headlessly.TypeClick, nil, map[string]string{
			"event": `"$autocapture"`, "properties/$event_type": `"click"`, "properties/$elements/0/tag_name": `"a"`,
			"properties/$elements/0/$el_text": `"Buy"`, "properties/$elements/0/attr__href": `"https://shop.example/buy"`,
		}},
		{"a form", headlessly.TypeForm, nil, map[string]string{"event": `"form_submit"`, "properties/form_id": `"checkout"`}},
		{"an event from a server without any visitor", headlessly.TypeTrack, func(e *headlessly.Event) { e.AnonymousID, e.SessionID = "", "" }, map[string]string{
			"distinct_id": `"` + forwardertest.ID(1) + `"`, "properties/$process_person_profile": "false",
		}},
	} {
		for capture, route := range map[string]string{"v0": "/batch", "v1": "/i/v1/analytics/events"} {
			t.Run(row.name+", "+capture, func(t *testing.T) {
				e := forwardertest.Event("acme", row.kind, 1, now)
				if row.change != nil {
					row.change(e)
				}
				got, results := forwardertest.Send(t, posthog.Kind(), to(capture), e)
				if len(got) != 1 || got[0].Route != route || results[0].Err != nil {
					t.Fatalf("%+v arrived, %v", got, results)
				}
				for path, want := range row.want {
					if capture == "v1" && path == "properties/$process_person_profile" {
						path = "options/process_person_profile"
					}
					if text := forwardertest.At(got[0].Payload, path); text != want {
						t.Errorf("%s: got %s, want %s", path, text, want)
					}
				}
			})
		}
	}
}

// TestMessagesAreThoseOfPostHogsLibrary reads what is sent back into
// posthog-go's own type, in which nothing may be left over.
func TestMessagesAreThoseOfPostHogsLibrary(t *testing.T) {
	now := headlessly.SystemClock().Truncate(time.Microsecond)
	for _, kind := range forwardertest.Types() {
		if !posthog.Kind().Takes(&headlessly.Event{Type: kind}) {
			continue
		}
		got, _ := forwardertest.Send(t, posthog.Kind(), to("v0"), forwardertest.Event("acme", kind, 1, now))
		var m library.CaptureInApi
		d := json.NewDecoder(bytes.NewReader(got[0].Payload))
		d.DisallowUnknownFields()
		if err := d.Decode(&m); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if m.Uuid != forwardertest.ID(1) || !m.Timestamp.Equal(now) || m.Event == "" || m.DistinctId == "" || m.Library != "@headlessly/js" {
			t.Errorf("%s: got %+v", kind, m)
		}
	}
}

func TestWhoMakesAPersonProfile(t *testing.T) {
	for _, row := range []struct {
		profiles string
		known    bool
		want     string
	}{
		{"", false, "false"}, {"", true, ""}, {"identified", false, "false"}, {"always", false, ""}, {"never", true, "false"},
	} {
		e := forwardertest.Event("acme", headlessly.TypePage, 1, headlessly.SystemClock())
		if row.known {
			e.UserID = "user-1"
		}
		got, _ := forwardertest.Send(t, posthog.Kind(), func(base string) headlessly.Destinations {
			d := to("v0")(base)
			d.PostHog.Profiles = row.profiles
			return d
		}, e)
		if text := forwardertest.At(got[0].Payload, "properties/$process_person_profile"); text != row.want {
			t.Errorf("profiles %q, known %v: got %q, want %q", row.profiles, row.known, text, row.want)
		}
	}
}

func TestAnEventThatPostHogWouldDropIsRefused(t *testing.T) {
	for name, change := range map[string]func(*headlessly.Event){
		"a group without an id":  func(e *headlessly.Event) { e.Type, e.GroupID = headlessly.TypeGroup, "" },
		"an alias of nobody":     func(e *headlessly.Event) { e.Type, e.PreviousID, e.AnonymousID = headlessly.TypeAlias, "", "" },
		"a year of six digits":   func(e *headlessly.Event) { e.Timestamp = 1<<62 - 1 },
		"neither visitor nor id": func(e *headlessly.Event) { e.AnonymousID, e.SessionID, e.MessageID = "", "", "" },
	} {
		e := forwardertest.Event("acme", headlessly.TypePage, 1, headlessly.SystemClock())
		change(e)
		good := forwardertest.Event("acme", headlessly.TypePage, 2, headlessly.SystemClock())
		got, results := forwardertest.Send(t, posthog.Kind(), to("v0"), e, good)
		var permanent *headlessly.Permanent
		if len(got) != 1 || !errors.As(results[0].Err, &permanent) || results[1].Err != nil {
			t.Errorf("%s: %d arrived, %v", name, len(got), results)
		}
	}
}

func TestOddEventsStayWithinPostHogsRules(t *testing.T) {
	for _, kind := range forwardertest.Types() {
		if !posthog.Kind().Takes(&headlessly.Event{Type: kind}) {
			continue
		}
		for name, e := range forwardertest.Odd(kind) {
			if name == "nothing but a type" { // has no id, which the collector always gives
				continue
			}
			t.Run(kind+": "+name, func(t *testing.T) {
				if got, results := forwardertest.Send(t, posthog.Kind(), to("v0"), e); results[0].Err == nil && len(got) != 1 {
					t.Errorf("%d events arrived", len(got))
				}
			})
		}
	}
}

func TestOldEventsGoAsAMigration(t *testing.T) {
	now := headlessly.SystemClock()
	old := forwardertest.Event("acme", headlessly.TypePage, 1, now.Add(-49*time.Hour))
	young := forwardertest.Event("acme", headlessly.TypePage, 2, now.Add(-47*time.Hour))
	got, _ := forwardertest.Send(t, posthog.Kind(), to("v0"), old, young)
	if len(got) != 2 {
		t.Fatalf("%d events arrived", len(got))
	}
	for _, e := range got {
		isOld := strings.Contains(string(e.Payload), old.MessageID)
		if e.Request["historical_migration"] != isOld {
			t.Errorf("old %v: historical_migration is %v", isOld, e.Request["historical_migration"])
		}
		if e.Request["sent_at"] != "" {
			t.Errorf("sent_at is %v: PostHog would shift the time by it", e.Request["sent_at"])
		}
	}
}

func TestBatchesAreCompressed(t *testing.T) {
	got, _ := forwardertest.Send(t, posthog.Kind(), to("v0"), forwardertest.Event("acme", headlessly.TypePage, 1, headlessly.SystemClock()))
	if len(got) != 1 || got[0].Request["encoding"] != "gzip" {
		t.Errorf("got %+v", got)
	}
	if !json.Valid(got[0].Payload) {
		t.Error("payload is not JSON")
	}
}
