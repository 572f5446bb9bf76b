package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// ledger is what a client of the graph was told.
type ledger struct {
	mu             sync.Mutex
	acked, unknown map[string]bool
	refused        []string
}

func (l *ledger) note(name string, a answer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil: // the connection ended before an answer came
		l.unknown[name] = true
	case a.status/100 == 2:
		l.acked[name] = true
	default:
		l.refused = append(l.refused, fmt.Sprintf("%s: %d %s", name, a.status, a.raw))
	}
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// created counts the Created events of each contact by its name, from the
// whole history.
func created(t testing.TB, g *gateway, key string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for after := "0"; ; {
		page := g.rest(t, key, "GET", "/~default/events?limit=1000&type=Contact.Created&after="+after, "", 200)
		var got struct {
			Results []struct {
				Seq  int
				Data struct{ Name string }
			}
			HasMore bool
		}
		if err := json.Unmarshal([]byte(page.raw), &got); err != nil {
			t.Fatal(err)
		}
		for _, e := range got.Results {
			out[e.Data.Name]++
			after = fmt.Sprint(e.Seq)
		}
		if !got.HasMore {
			return out
		}
	}
}

// TestAcknowledgedMutationsSurviveKillsExactlyOnce kills the gateway, with no
// warning, three times while several clients write: singles, batches and
// changes of one entity.
func TestAcknowledgedMutationsSurviveKillsExactlyOnce(t *testing.T) {
	g := newGateway(t, "lakehouse: {commitInterval: 1h}")
	key := g.credentials(t).SecretKey
	shared := g.rest(t, key, "POST", "/~default/Deal", `{"name":"Shared","value":0}`, 201).text("$id")
	l := &ledger{acked: map[string]bool{}, unknown: map[string]bool{}}
	steps, lastVersion := 0, 0.0
	for round := range 3 {
		stop := make(chan struct{})
		var wg sync.WaitGroup
		run := func(write func(i int) error) {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					if write(i) != nil {
						return // it was killed
					}
				}
			})
		}
		for w := range 3 {
			run(func(i int) error {
				name := fmt.Sprintf("single-%d-%d-%d", round, w, i)
				a, err := g.do(t.Context(), key, "POST", "/~default/Contact", fmt.Sprintf(`{"name":%q,"email":"%s@example.com"}`, name, name))
				l.note(name, a, err)
				return err
			})
		}
		run(func(i int) error {
			var ops, names []string
			for n := range 20 {
				name := fmt.Sprintf("batch-%d-%d-%d", round, i, n)
				names = append(names, name)
				ops = append(ops, fmt.Sprintf(`{"type":"Contact","verb":"create","data":{"name":%q,"email":"%s@example.com"}}`, name, name))
			}
			a, err := g.do(t.Context(), key, "POST", "/~default/batch", "["+strings.Join(ops, ",")+"]")
			for _, name := range names {
				l.note(name, a, err)
			}
			return err
		})
		run(func(int) error { // one entity, again and again
			a, err := g.do(t.Context(), key, "PATCH", "/~default/Deal/"+shared, fmt.Sprintf(`{"value":%d}`, steps+1))
			if err == nil {
				steps++
				lastVersion = a.object["$version"].(float64)
			}
			return err
		})
		before := l.count()
		wait(t, "there is something to lose", func() bool { return l.count() >= before+60 })
		g.kill(t)
		close(stop)
		wg.Wait()
		g.start(t)
		deal := g.rest(t, key, "GET", "/~default/Deal/"+shared, "", 200)
		value, version := int(deal.object["value"].(float64)), deal.object["$version"].(float64)
		if value != steps && value != steps+1 || version < lastVersion || version > lastVersion+1 {
			t.Errorf("round %d: the entity has value %d and version %g after %d acknowledged changes, the last to version %g", round, value, version, steps, lastVersion)
		}
		steps, lastVersion = value, version
	}
	if len(l.refused) > 0 {
		t.Errorf("%d mutations were refused, the first: %s", len(l.refused), l.refused[0])
	}
	there := created(t, g, key)
	for name := range l.acked {
		if there[name] != 1 {
			t.Errorf("%s was acknowledged and was made %d times", name, there[name])
		}
	}
	for name, n := range there {
		if n != 1 || !l.acked[name] && !l.unknown[name] {
			t.Errorf("%s was made %d times; acknowledged: %t", name, n, l.acked[name])
		}
	}
}

// graphBlocks are the files of the graph's stream, in order.
func graphBlocks(t testing.TB, g *gateway) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(g.dir, "log", "jetstream", "$G", "streams", "graph", "msgs", "*.blk"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no blocks of the graph's stream: %v", err)
	}
	return list
}

// spoil changes the graph's stream on disk, where its process is dead.
func spoil(t testing.TB, g *gateway, change func(b []byte) []byte) {
	t.Helper()
	list := graphBlocks(t, g)
	path := list[len(list)-1]
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestADamagedGraphCostsWhatIsDamagedAndNothingElse damages the stream of
// entities in the middle and at its end. The damaged event is gone, everything
// else is there and can be changed, and no place in the log is given twice.
func TestADamagedGraphCostsWhatIsDamagedAndNothingElse(t *testing.T) {
	g := newGateway(t, "lakehouse: {commitInterval: 1h}")
	key := g.credentials(t).SecretKey
	const contacts = 30
	ids := make([]string, contacts)
	for i := range ids {
		ids[i] = g.rest(t, key, "POST", "/~default/Contact", fmt.Sprintf(`{"name":"damage-%02d","email":"d%02d@example.com"}`, i, i), 201).text("$id")
	}
	last := func() int {
		var page struct{ Results []struct{ Seq int } }
		if err := json.Unmarshal([]byte(g.rest(t, key, "GET", "/~default/events?limit=1", "", 200).raw), &page); err != nil {
			t.Fatal(err)
		}
		return page.Results[0].Seq
	}
	atEnd := last()
	quarantined := func() int {
		list, _ := os.ReadDir(filepath.Join(g.dir, "log", "quarantine"))
		return len(list)
	}

	// In the middle: one letter of one event.
	g.kill(t)
	spoil(t, g, func(b []byte) []byte {
		at := bytes.Index(b, []byte(`"name":"damage-12"`))
		if at < 0 {
			t.Fatal("the event to damage is not in the block")
		}
		b[at+10] ^= 1
		return b
	})
	g.start(t)
	if quarantined() == 0 {
		t.Error("the damaged block is not in quarantine")
	}
	for i, id := range ids {
		want := 200
		if i == 12 {
			want = 404
		}
		g.rest(t, key, "GET", "/~default/Contact/"+id, "", want)
		if want == 200 {
			g.rest(t, key, "PATCH", "/~default/Contact/"+id, `{"phone":"1"}`, 200)
		}
	}
	g.rest(t, key, "POST", "/~default/Contact", `{"name":"again","email":"d12@example.com"}`, 201) // nobody holds the address any more
	if now := last(); now <= atEnd {
		t.Errorf("the last event has place %d, after %d", now, atEnd)
	}

	// At the end: the last event, which was acknowledged and shown.
	lost := g.rest(t, key, "POST", "/~default/Deal", `{"name":"the last one"}`, 201).text("$id")
	atEnd = last()
	g.kill(t)
	spoil(t, g, func(b []byte) []byte { b[len(b)-20] ^= 1; return b })
	g.start(t)
	g.rest(t, key, "GET", "/~default/Deal/"+lost, "", 404)
	g.rest(t, key, "POST", "/~default/Deal", `{"name":"behind it"}`, 201)
	if now := last(); now <= atEnd {
		t.Errorf("the place %d of a lost event was given to another, %d", atEnd, now)
	}
	for i, id := range ids {
		if i != 12 {
			g.rest(t, key, "PATCH", "/~default/Contact/"+id, `{"phone":"2"}`, 200)
		}
	}
	// A further start has nothing to mend.
	before := quarantined()
	g.kill(t)
	g.start(t)
	if now := quarantined(); now != before {
		t.Errorf("quarantine has %d files after a start without damage, had %d", now, before)
	}
	g.rest(t, key, "GET", "/~default/Contact/"+ids[0], "", 200)
}
