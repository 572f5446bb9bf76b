package control_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// patience bounds a wait for something that comes by itself.
const patience = 2 * time.Minute

// sse opens a stream and gives a function that reads the next event's id and
// type.
func (p *plane) sse(t testing.TB, path string, headers ...string) (next func() string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", p.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.secret)
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s: got %d %s", path, res.StatusCode, res.Header)
	}
	lines := bufio.NewScanner(res.Body)
	return func() string {
		id := ""
		for lines.Scan() {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "id: "):
				id = line[4:]
			case strings.HasPrefix(line, "data: "):
				return id + " " + eventName(t, []byte(line[6:]))
			}
		}
		if ctx.Err() != nil {
			return "nothing came: " + ctx.Err().Error()
		}
		return "end"
	}, cancel
}

func eventName(t testing.TB, raw []byte) string {
	t.Helper()
	var e struct {
		Type string `json:"type"`
		Data struct {
			Name string `json:"name"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return e.Type + " " + e.Data.Name
}

func TestAStreamResumesAndMissesNothing(t *testing.T) {
	p := start(t)
	create := func(typ, name string) {
		t.Helper()
		if status, _, raw := p.call(t, p.secret, "POST", "/~acme/"+typ, `{"name":"`+name+`"}`); status != 201 {
			t.Fatalf("create: %d %s", status, raw)
		}
	}
	create("Deal", "before")
	next, stop := p.sse(t, "/~acme/events/stream")
	create("Deal", "one")
	seen := next()
	if !strings.HasSuffix(seen, " Deal.Created one") {
		t.Fatalf("a new stream: got %q, want what comes after its start", seen)
	}
	stop()
	for i := range 600 { // more than one page
		create("Deal", strconv.Itoa(i))
		if i%200 == 0 {
			create("Product", "p")
		}
	}
	id, _, _ := strings.Cut(seen, " ")
	for name, open := range map[string]func() (func() string, func()){
		"Last-Event-ID": func() (func() string, func()) {
			return p.sse(t, "/~acme/events/stream?type=deal.*", "Last-Event-ID: "+id)
		},
		"after": func() (func() string, func()) { return p.sse(t, "/~acme/events/stream?type=Deal.Created&after="+id) },
		"WebSocket": func() (func() string, func()) {
			return p.ws(t, "/~acme/events/ws?type=Deal.*,Ticket.*&after="+id)
		},
	} {
		next, stop := open()
		for i := range 600 {
			if got, want := next(), fmt.Sprintf("Deal.Created %d", i); !strings.HasSuffix(got, want) {
				t.Fatalf("%s: event %d: got %q, want %q", name, i, got, want)
			}
		}
		stop()
	}
	next, _ = p.sse(t, "/~acme/events/stream?after=0&type=deal.created")
	if got := next(); !strings.HasSuffix(got, "Deal.Created before") {
		t.Errorf("from 0: got %q, want the first event", got)
	}
	for path, field := range map[string]string{"?after=x": "after", "?after=999999999": "after", "?type=Deal": "type"} {
		status, body, raw := p.call(t, p.secret, "GET", "/~acme/events/stream"+path, "")
		if status != 400 || body["field"] != field {
			t.Errorf("%s: got %d %s", path, status, raw)
		}
	}
}

// ws opens a WebSocket stream.
func (p *plane) ws(t testing.TB, path string) (next func() string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, p.url+path, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + p.secret}}}) //nolint:bodyclose // the library's
	if err != nil {
		t.Fatal(err)
	}
	return func() string {
		_, raw, err := conn.Read(ctx)
		if err != nil {
			return err.Error()
		}
		return eventName(t, raw)
	}, func() { _ = conn.CloseNow() }
}

func TestAKeyThatStopsEndsItsStreams(t *testing.T) {
	for _, how := range []string{"revoke", "rotate"} {
		t.Run(how, func(t *testing.T) {
			p := start(t)
			_, key, _ := p.call(t, p.secret, "POST", "/~acme/keys", `{"kind":"secret"}`)
			admin := p.secret
			p.secret = key["key"].(string)
			next, _ := p.sse(t, "/~acme/events/stream")
			nextWS, _ := p.ws(t, "/~acme/events/ws")
			nextLive, _ := p.sse(t, "/~acme/events/live")
			if got := nextLive(); got != "  " {
				t.Errorf("the live tail: got %q, want its opening", got)
			}
			if status, _, raw := p.call(t, admin, "POST", "/~acme/keys/"+key["$id"].(string)+"/"+how, ""); status != 200 {
				t.Fatalf("%s: %d %s", how, status, raw)
			}
			if got := next(); got != "end" {
				t.Errorf("server-sent events: got %q, want the end", got)
			}
			if got := nextWS(); !strings.Contains(got, "revoked") {
				t.Errorf("WebSocket: got %q, want a close that says why", got)
			}
			if got := nextLive(); got != "end" {
				t.Errorf("the live tail: got %q, want the end", got)
			}
			if status, body, raw := p.call(t, admin, "GET", "/~acme/events/live?event=fault", ""); status != 500 || body["error"] != "internal" {
				t.Errorf("a tail that cannot be shown: got %d %s", status, raw)
			}
		})
	}
}

// A rotation with a grace ends the streams of the old value at the grace's end,
// and a further one at once; those of the newest value go on.
func TestAStreamEndsWithTheValueThatOpenedIt(t *testing.T) {
	for _, row := range []struct {
		name    string
		grace   string
		further bool
	}{
		{"the grace ends", `{"graceSeconds":1}`, false},
		{"a further rotation within the grace", `{"graceSeconds":3600}`, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := start(t)
			admin := p.secret
			_, key, _ := p.call(t, admin, "POST", "/~acme/keys", `{"kind":"secret"}`)
			rotate := func() {
				t.Helper()
				status, body, raw := p.call(t, admin, "POST", "/~acme/keys/"+key["$id"].(string)+"/rotate", row.grace)
				if status != 200 {
					t.Fatalf("rotate: %d %s", status, raw)
				}
				p.secret, _ = body["key"].(string)
			}
			p.secret, _ = key["key"].(string)
			next, _ := p.sse(t, "/~acme/events/stream")
			nextWS, _ := p.ws(t, "/~acme/events/ws")
			nextLive, _ := p.sse(t, "/~acme/events/live")
			if got := nextLive(); got != "  " {
				t.Fatalf("the live tail: got %q, want its opening", got)
			}
			rotate()
			nextNew, _ := p.sse(t, "/~acme/events/stream?type=Contact.*")
			if row.further {
				rotate()
			}
			for {
				got := next()
				if got == "end" {
					break
				}
				if !strings.Contains(got, "ApiKey.") {
					t.Fatalf("server-sent events: got %q, want the end", got)
				}
			}
			for {
				got := nextWS()
				if strings.Contains(got, "revoked") {
					break
				}
				if !strings.Contains(got, "ApiKey.") {
					t.Fatalf("WebSocket: got %q, want a close that says why", got)
				}
			}
			if got := nextLive(); got != "end" {
				t.Errorf("the live tail: got %q, want the end", got)
			}
			if status, _, raw := p.call(t, admin, "POST", "/~acme/Contact", `{"name":"Ada"}`); status != 201 {
				t.Fatalf("create: %d %s", status, raw)
			}
			if got := nextNew(); !strings.Contains(got, "Contact.Created") {
				t.Errorf("the stream of the new value: got %q, want it to go on", got)
			}
		})
	}
}

func TestABatchAnswersEachOperation(t *testing.T) {
	p := start(t)
	_, ada, _ := p.call(t, p.secret, "POST", "/~acme/Contact", `{"name":"Ada","email":"ada@example.com"}`)
	id := ada["$id"].(string)
	status, body, raw := p.call(t, p.secret, "POST", "/~acme/batch", `{"operations":[
		{"type":"Contact","verb":"create","data":{"name":"Eve"}},
		{"type":"Contact","verb":"create","data":{"name":"Eve","email":"ada@example.com"}},
		{"type":"Contact","verb":"qualify","id":"`+id+`"},
		{"type":"Contact","verb":"update","id":"`+id+`","ifVersion":1,"data":{"phone":"1"}},
		{"type":"Contact","verb":"rollback","id":"`+id+`","data":{"version":1}},
		{"type":"Contact","verb":"delete","id":"`+id+`"},
		{"type":"Nothing","verb":"create"}]}`)
	if status != 200 || body["succeeded"] != 4.0 || body["failed"] != 3.0 {
		t.Fatalf("got %d %s", status, raw)
	}
	var got []string
	for _, r := range body["results"].([]any) {
		m := r.(map[string]any)
		s := fmt.Sprint(m["status"])
		if e, ok := m["error"].(map[string]any); ok {
			s += " " + e["error"].(string)
		}
		got = append(got, s)
	}
	if want := "201, 409 conflict, 200, 412 version_mismatch, 200, 200, 404 not_found"; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
	ops := strings.TrimSuffix(strings.Repeat(`{"type":"Contact","verb":"create","data":{"name":"x"}},`, 1001), ",")
	if status, body, raw := p.call(t, p.secret, "POST", "/~acme/batch", "["+ops+"]"); status != 413 || body["error"] != "too_large" {
		t.Errorf("1,001 operations: got %d %s", status, raw)
	}
	if status, body, _ := p.call(t, p.secret, "POST", "/~acme/batch", "["+ops[:len(ops)-len(`,{"type":"Contact","verb":"create","data":{"name":"x"}}`)]+"]"); status != 200 || body["succeeded"] != 1000.0 {
		t.Errorf("1,000 operations: got %d %v", status, body["failed"])
	}
	for _, bad := range []string{``, `{}`, `{"operations":{}}`, `[{"typ":"Contact"}]`, `[1]`} {
		if status, _, raw := p.call(t, p.secret, "POST", "/~acme/batch", bad); status != 400 {
			t.Errorf("%s: got %d %s", bad, status, raw)
		}
	}
}
