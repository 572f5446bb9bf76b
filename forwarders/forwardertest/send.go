package forwardertest

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/egress"
	"github.com/headlessly/headlessly/forwarders/sinks"
)

// Send delivers events to strict stand-ins and gives what arrived. A violation
// of the provider's rules fails the test.
func Send(t testing.TB, kind forwarders.Kind, connect func(base string) headlessly.Destinations, events ...*headlessly.Event) ([]sinks.Event, []forwarders.Result) {
	t.Helper()
	s := sinks.New(sinks.Config{})
	server := httptest.NewServer(s)
	defer server.Close()
	d, err := kind.Build(connect(server.URL), forwarders.Deps{
		Client: egress.New(egress.Config{AllowPrivate: true}), Clock: headlessly.SystemClock,
	})
	if err != nil {
		t.Fatal(err)
	}
	items := make([]forwarders.Item, 0, len(events))
	for _, e := range events {
		items = append(items, forwarders.Item{Event: e})
	}
	results := d.Deliver(t.Context(), items)
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("the provider would complain:\n%s", strings.Join(v, "\n"))
	}
	return s.Events(""), results
}

// At gives the JSON text at a path such as "properties/$set/plan" or
// "exception/0/type"; "" where there is nothing.
func At(raw json.RawMessage, path string) string {
	for part := range strings.SplitSeq(path, "/") {
		var m map[string]json.RawMessage
		var list []json.RawMessage
		switch {
		case json.Unmarshal(raw, &m) == nil && m != nil:
			raw = m[part]
		case json.Unmarshal(raw, &list) == nil:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(list) {
				return ""
			}
			raw = list[i]
		default:
			return ""
		}
	}
	return string(raw)
}

// Print gives a decoded value as text, for comparing.
func Print(v any) string { return fmt.Sprint(v) }
