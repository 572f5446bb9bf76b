package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// natsCluster is three NATS servers that keep three copies of each stream.
func natsCluster(t testing.TB) (urls string) {
	t.Helper()
	dir := t.TempDir()
	routes := make([]*url.URL, 3)
	for i := range routes {
		routes[i] = &url.URL{Scheme: "nats", Host: freeAddr(t)}
	}
	var all []string
	for i := range routes {
		name := fmt.Sprintf("node-%d", i)
		port, err := strconv.Atoi(routes[i].Port())
		if err != nil {
			t.Fatal(err)
		}
		srv, err := server.NewServer(&server.Options{
			ServerName: name, Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, DisableJetStreamBanner: true, StoreDir: filepath.Join(dir, name), SyncAlways: true,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}, Routes: routes,
		})
		if err != nil {
			t.Fatal(err)
		}
		go srv.Start()
		t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
		if !srv.ReadyForConnections(time.Minute) {
			t.Fatal("a NATS server did not start")
		}
		all = append(all, srv.ClientURL())
	}
	return strings.Join(all, ",")
}

// fleet is two gateways over one NATS cluster, each with a folder of its own.
type fleet struct {
	a, b *gateway
	key  string // of both
}

func startFleet(t *testing.T) *fleet {
	t.Helper()
	yaml := "publicUrl: https://events.example.com\nlakehouse: {commitInterval: 1h}\nlog: {replicas: 3, nats: \"" + natsCluster(t) + "\"}\n"
	f := &fleet{a: newGateway(t, yaml), b: newGateway(t, yaml)}
	f.key = f.a.credentials(t).SecretKey
	wait(t, "the second gateway knows the first one's key", func() bool {
		a, err := f.b.do(t.Context(), f.key, "GET", "/~default/Deal", "")
		return err == nil && a.status == 200
	})
	return f
}

func (f *fleet) both() []*gateway { return []*gateway{f.a, f.b} }

// everything is what a gateway says of the tenant: its entities, and its
// history from the first event on.
func (f *fleet) everything(t testing.TB, g *gateway) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(g.rest(t, f.key, "GET", "/~default/export?type=Deal,Contact", "", 200).raw)
	for after := "0"; ; {
		page := g.rest(t, f.key, "GET", "/~default/events?limit=1000&after="+after, "", 200)
		results, _ := page.object["results"].([]any)
		for _, e := range results {
			raw, _ := json.Marshal(e)
			b.Write(append(raw, '\n'))
			after = fmt.Sprint(int(e.(map[string]any)["seq"].(float64)))
		}
		if page.object["hasMore"] != true {
			return b.String()
		}
	}
}

// agree waits until both say the same, and fails with where they differ.
func (f *fleet) agree(t testing.TB) string {
	t.Helper()
	var of [2]string
	if !poll(func() bool {
		of[0], of[1] = f.everything(t, f.a), f.everything(t, f.b)
		return of[0] == of[1]
	}) {
		t.Fatalf("the gateways do not come to agree:\n%s\n--- and ---\n%s", of[0], of[1])
	}
	return of[0]
}

// seqsOf are the places in the log of what a stream showed.
func seqsOf(t testing.TB, lines []string) (out []int) {
	t.Helper()
	for _, l := range lines {
		var e struct{ Seq int }
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatal(err)
		}
		out = append(out, e.Seq)
	}
	return out
}

func TestTwoGatewaysOverOneNATSAgree(t *testing.T) {
	f := startFleet(t)
	made := f.a.rest(t, f.key, "POST", "/~default/Deal", `{"name":"Shared","value":0}`, 201)
	id := made.text("$id")
	wait(t, "the second gateway shows it", func() bool {
		a, err := f.b.do(t.Context(), f.key, "GET", "/~default/Deal/"+id, "")
		return err == nil && a.status == 200 && a.raw == made.raw
	})
	start := fmt.Sprint(int(f.a.rest(t, f.key, "GET", "/~default/events?limit=1&entity="+id, "", 200).object["results"].([]any)[0].(map[string]any)["seq"].(float64)))

	// Streams at both, hooks of clients at one: they hold for writes at either.
	streams := []*stream{f.a.sse(t, f.key, "/~default/events/stream?after="+start), f.b.sse(t, f.key, "/~default/events/stream?after="+start)}
	_, socket := f.b.socket(t, f.key, "/~default/events/ws?after="+start, nil)
	var asked atomic.Int64
	f.b.hook(t, f.key, "default", map[string]any{"id": "r1", "hook": "Contact.creating", "name": "tags", "missing": "veto", "deadlineMs": 10000}, func(m map[string]any) any {
		if m["type"] != "before" {
			return nil
		}
		asked.Add(1)
		entity, _ := m["entity"].(map[string]any)
		if entity["name"] == "Refused" {
			return map[string]any{"type": "answer", "callId": m["callId"], "veto": "not this one"}
		}
		return map[string]any{"type": "answer", "callId": m["callId"], "patch": map[string]any{"source": "the hook"}}
	})
	wait(t, "the first gateway knows the hook of the second's client", func() bool {
		return strings.Contains(f.a.rest(t, f.key, "GET", "/~default/hooks", "", 200).raw, `"tags"`)
	})

	f.raceOnOneEntity(t, id)
	f.raceForUniqueValues(t)
	for i, g := range f.both() {
		if a := g.rest(t, f.key, "POST", "/~default/Contact", `{"name":"Refused"}`, 422); !strings.Contains(a.raw, "not this one") {
			t.Errorf("gateway %d: got %s", i, a.raw)
		}
	}
	if asked.Load() == 0 {
		t.Error("the hook was never asked")
	}

	all := f.agree(t)
	wantSeqs := seqsOf(t, events(all))
	for wantSeqs[0] <= number(start) {
		wantSeqs = wantSeqs[1:]
	}
	for i, s := range append(streams, socket) {
		wait(t, "a stream shows everything", func() bool { return len(s.all()) >= len(wantSeqs) })
		if got := seqsOf(t, s.all()); fmt.Sprint(got) != fmt.Sprint(wantSeqs) {
			t.Errorf("stream %d: got %v, want %v", i, got, wantSeqs)
		}
	}
	// A past moment is the same moment at both.
	middle := wantSeqs[len(wantSeqs)/2]
	for _, path := range []string{"/~default/Deal/" + id + "?asOf=" + fmt.Sprint(middle), "/~default/Contact?sort=$id&asOf=" + fmt.Sprint(middle)} {
		if a, b := f.a.rest(t, f.key, "GET", path, "", 200), f.b.rest(t, f.key, "GET", path, "", 200); a.raw != b.raw {
			t.Errorf("%s: got %s\nand %s", path, a.raw, b.raw)
		}
	}
}

func number(s string) int { n, _ := strconv.Atoi(s); return n }

// events are the lines of everything that are events.
func events(everything string) (out []string) {
	for l := range strings.Lines(everything) {
		if strings.Contains(l, `"seq":`) {
			out = append(out, strings.TrimSpace(l))
		}
	}
	return out
}

// raceOnOneEntity has writers at both gateways add one to the same number, each
// only on top of what it has read. None may be lost, and a gateway shows at once
// what it has acknowledged.
func (f *fleet) raceOnOneEntity(t *testing.T, id string) {
	t.Helper()
	const writers, each = 2, 10 // at each gateway
	path := "/~default/Deal/" + id
	var wg sync.WaitGroup
	for _, g := range f.both() {
		for range writers {
			wg.Go(func() {
				for done := 0; done < each; {
					read, err := g.do(t.Context(), f.key, "GET", path, "")
					if err != nil || read.status != 200 {
						t.Errorf("read: %d %s %v", read.status, read.raw, err)
						return
					}
					value := int(read.object["value"].(float64))
					wrote, err := g.do(t.Context(), f.key, "PATCH", path, fmt.Sprintf(`{"value":%d}`, value+1), "If-Match", read.header.Get("ETag"))
					lost := err == nil && (wrote.status == 412 || wrote.status == 409 && wrote.header.Get("Retry-After") != "")
					if lost {
						continue
					}
					if err != nil || wrote.status != 200 {
						t.Errorf("write: %d %s %v", wrote.status, wrote.raw, err)
						return
					}
					done++
					again, err := g.do(t.Context(), f.key, "GET", path, "")
					if err != nil || again.object["$version"].(float64) < wrote.object["$version"].(float64) {
						t.Errorf("a write that was acknowledged is not shown: wrote %s, read %s %v", wrote.raw, again.raw, err)
					}
				}
			})
		}
	}
	wg.Wait()
	f.agree(t)
	for i, g := range f.both() {
		if a := g.rest(t, f.key, "GET", path, "", 200); a.object["value"] != float64(2*writers*each) || a.object["$version"] != float64(2*writers*each+1) {
			t.Errorf("gateway %d: got %s, want the value %d after as many changes", i, a.raw, 2*writers*each)
		}
	}
}

// raceForUniqueValues has both gateways make the same customers at once: each
// value has one owner.
func (f *fleet) raceForUniqueValues(t *testing.T) {
	t.Helper()
	const values = 10
	var made [values]atomic.Int64
	var wg sync.WaitGroup
	for _, g := range f.both() {
		wg.Go(func() {
			for i := range values {
				a, err := g.do(t.Context(), f.key, "POST", "/~default/Contact", fmt.Sprintf(`{"name":"C","email":"c%d@example.com"}`, i))
				switch {
				case err == nil && a.status == 201 && a.text("source") == "the hook":
					made[i].Add(1)
				case err == nil && a.status == 409:
				default:
					t.Errorf("got %d %s %v, want 201 as the hook made it, or 409", a.status, a.raw, err)
				}
			}
		})
	}
	wg.Wait()
	for i := range made {
		if n := made[i].Load(); n != 1 {
			t.Errorf("c%d@example.com was made %d times", i, n)
		}
	}
}

// TestWhenOneGatewayOfTwoIsKilledTheOtherGoesOn writes at both while one is
// killed. What it had acknowledged is at the other, once; a stored handler that
// it ran goes on there; and when it comes back it agrees.
func TestWhenOneGatewayOfTwoIsKilledTheOtherGoesOn(t *testing.T) {
	f := startFleet(t)
	f.a.rest(t, f.key, "POST", "/~default/Handler", `{"name":"note","hook":"Project.created","deadlineMs":10000,"source":"async (project, $) => { await $.Deal.create({ name: 'of ' + project.name }) }"}`, 201)
	handled := func(name string) func() bool {
		return func() bool {
			a, err := f.b.do(t.Context(), f.key, "GET", "/~default/Deal?filter="+url.QueryEscape(`{"name":"of `+name+`"}`), "")
			return err == nil && a.object["total"] != nil && a.object["total"].(float64) > 0
		}
	}
	f.a.rest(t, f.key, "POST", "/~default/Project", `{"name":"first"}`, 201)
	wait(t, "the handler has run", handled("first"))
	var mu sync.Mutex
	acked, unknown, stop := map[string]bool{}, map[string]bool{}, make(chan struct{})
	var wg sync.WaitGroup
	for g, gw := range f.both() {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				name := fmt.Sprintf("%d-%d", g, i)
				a, err := gw.do(t.Context(), f.key, "POST", "/~default/Contact", fmt.Sprintf(`{"name":%q,"email":"%s@example.com"}`, name, name))
				mu.Lock()
				switch {
				case err != nil:
					unknown[name] = true
				case a.status == 201:
					acked[name] = true
				default:
					t.Errorf("got %d %s", a.status, a.raw)
				}
				mu.Unlock()
				if err != nil {
					return // it was killed
				}
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acked) }
	wait(t, "both write", func() bool { return count() >= 40 })
	f.a.kill(t)
	before := count()
	wait(t, "the other goes on", func() bool { return count() >= before+20 })
	close(stop)
	wg.Wait()

	f.b.rest(t, f.key, "POST", "/~default/Project", `{"name":"second"}`, 201)
	contacts := map[string]int{}
	for l := range strings.Lines(f.b.rest(t, f.key, "GET", "/~default/export?type=Contact", "", 200).raw) {
		var e struct{ Name string }
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatal(err)
		}
		contacts[e.Name]++
	}
	for name := range acked {
		if contacts[name] != 1 {
			t.Errorf("%s was acknowledged and is there %d times", name, contacts[name])
		}
	}
	for name, n := range contacts {
		if n != 1 || !acked[name] && !unknown[name] {
			t.Errorf("%s is there %d times, acknowledged %t", name, n, acked[name])
		}
	}
	wait(t, "the handler goes on where nobody was killed", handled("second"))
	f.a.start(t)
	f.agree(t)
}
