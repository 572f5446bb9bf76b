package http_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	hook "github.com/headlessly/headlessly/forwarders/http"
)

func to(c headlessly.HTTPDestination) func(string) headlessly.Destinations {
	return func(base string) headlessly.Destinations {
		c := c
		c.URL = headlessly.NewSecret(base + "/hook/" + c.URL.Reveal())
		return headlessly.Destinations{HTTP: &c}
	}
}

func TestConformance(t *testing.T) {
	headers := map[string]headlessly.Secret{"Authorization": headlessly.NewSecret("Bearer " + forwardertest.Canary)}
	for name, c := range map[string]headlessly.HTTPDestination{
		"one event a request": {URL: headlessly.NewSecret("x?token=" + forwardertest.Canary), Headers: headers},
		"several":             {URL: headlessly.NewSecret("x/" + forwardertest.Canary + "/y"), Headers: headers, Batch: 10},
		"a body of one's own": {URL: headlessly.NewSecret("x"), Headers: headers, Body: `{"m":{{properties.marker}},"all":{{.}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			forwardertest.Run(t, forwardertest.Target{Kind: hook.Kind(), Type: headlessly.TypePage, Connect: to(c)})
		})
	}
}

func TestPlaceholders(t *testing.T) {
	for _, row := range []struct {
		name   string
		conf   headlessly.HTTPDestination
		change func(*headlessly.Event)
		body   string
		check  func(route string, head map[string]any) string
	}{
		{
			name: "in the body", conf: headlessly.HTTPDestination{Body: `{"name":{{event}},"n":{{ properties.order_id }},"deep":{{properties.a.b}},"none":{{properties.x.y}},"user":{{userId}}}`},
			change: func(e *headlessly.Event) { e.Properties = `{"order_id":"o\"1","a":{"b":[1]}}` },
			body:   `{"name":"Order Completed","n":"o\"1","deep":[1],"none":null,"user":null}`,
		},
		{
			name: "in headers, cleaned", conf: headlessly.HTTPDestination{Body: `{}`, Headers: map[string]headlessly.Secret{"X-User": headlessly.NewSecret("u={{userId}}")}},
			change: func(e *headlessly.Event) { e.UserID = "a\r\nX-Evil: 1" }, body: `{}`,
			check: func(_ string, head map[string]any) string {
				if head["X-User"] != "u=aX-Evil: 1" || head["X-Evil"] != nil {
					return fmt.Sprint(head)
				}
				return ""
			},
		},
		{
			name: "in the URL, escaped", conf: headlessly.HTTPDestination{URL: headlessly.NewSecret("t/{{userId}}"), Body: `{}`},
			change: func(e *headlessly.Event) { e.UserID = "a/b?c" }, body: `{}`,
			check: func(route string, _ map[string]any) string {
				if route != "/hook/t/a/b?c" {
					return route
				}
				return ""
			},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := forwardertest.Event("acme", headlessly.TypeTrack, 1, headlessly.SystemClock())
			row.change(e)
			got, results := forwardertest.Send(t, hook.Kind(), to(row.conf), e)
			if len(got) != 1 {
				t.Fatalf("%d arrived: %v", len(got), results)
			}
			if string(got[0].Payload) != row.body {
				t.Errorf("body: got %s, want %s", got[0].Payload, row.body)
			}
			if row.check != nil {
				if wrong := row.check(got[0].Route, got[0].Request); wrong != "" {
					t.Errorf("got %s", wrong)
				}
			}
		})
	}
}

func TestRequestsAreSigned(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	conf := headlessly.HTTPDestination{Secret: headlessly.NewSecret("whsec_" + base64.StdEncoding.EncodeToString(key))}
	got, _ := forwardertest.Send(t, hook.Kind(), to(conf), forwardertest.Event("acme", headlessly.TypePage, 1, headlessly.SystemClock()))
	head := got[0].Request
	if head["Webhook-Id"] != forwardertest.ID(1) || head["Idempotency-Key"] != forwardertest.ID(1) {
		t.Errorf("ids: %v", head)
	}
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", head["Webhook-Id"], head["Webhook-Timestamp"], got[0].Payload)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); head["Webhook-Signature"] != want {
		t.Errorf("signature: got %v, want %s", head["Webhook-Signature"], want)
	}
}

func TestSettingsThatAreWrongAreRefusedWithoutShowingThem(t *testing.T) {
	for name, c := range map[string]headlessly.HTTPDestination{
		"no URL":                        {URL: headlessly.NewSecret("canary")},
		"credentials in the URL":        {URL: headlessly.NewSecret("https://canary:x@host/")},
		"a placeholder as the host":     {URL: headlessly.NewSecret("https://{{properties.canary}}/")},
		"a placeholder behind the host": {URL: headlessly.NewSecret("https://host.canary{{userId}}/")},
		"an open placeholder":           {URL: headlessly.NewSecret("https://host/{{canary")},
		"a body that is no JSON":        {URL: headlessly.NewSecret("https://host/"), Body: `{"canary":"{{userId}}`},
		"a batch with its own body":     {URL: headlessly.NewSecret("https://host/"), Body: `{}`, Batch: 5},
		"a secret that is no base64":    {URL: headlessly.NewSecret("https://host/"), Secret: headlessly.NewSecret("whsec_canary!")},
	} {
		_, err := hook.New(c, forwarders.Deps{})
		if err == nil {
			t.Errorf("%s was taken", name)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error shows it: %v", name, err)
		}
	}
}
