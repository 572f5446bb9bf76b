package eventlog_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/eventlog"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// load appends from several goroutines and remembers what was acknowledged.
type load struct {
	t    testing.TB
	l    *eventlog.Log
	mu   sync.Mutex
	acks map[string]bool
	errs []error
	more chan struct{} // one entry an ack, when somebody waits
	stop context.CancelFunc
	work sync.WaitGroup
}

func startLoad(t testing.TB, l *eventlog.Log, writers int) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d := &load{t: t, l: l, acks: map[string]bool{}, more: make(chan struct{}, 1), stop: cancel}
	for w := range writers {
		d.work.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("%d/%d", w, i)
				_, err := l.Append(context.Background(), event("%s pp", name))
				d.note(name, err)
			}
		})
	}
	t.Cleanup(cancel)
	return d
}

func (d *load) note(name string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.errs = append(d.errs, err)
		return
	}
	d.acks[name] = true
	select {
	case d.more <- struct{}{}:
	default:
	}
}

// await waits for n more acks.
func (d *load) await(n int) {
	d.t.Helper()
	limit := time.After(time.Minute)
	d.mu.Lock()
	want := len(d.acks) + n
	d.mu.Unlock()
	for {
		d.mu.Lock()
		got, errs := len(d.acks), d.errs
		d.mu.Unlock()
		switch {
		case len(errs) > 0:
			d.t.Fatalf("append: %v", errs[0])
		case got >= want:
			return
		}
		select {
		case <-d.more:
		case <-limit:
			d.t.Fatalf("%d acks, want %d", got, want)
		}
	}
}

func (d *load) finish() *books {
	d.stop()
	d.work.Wait()
	b := newBooks()
	b.acked = d.acks
	return b
}

// leader gives the node that leads the events stream.
func (c *cluster) leader(t testing.TB) int {
	t.Helper()
	nc, err := nats.Connect(c.url())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), "events")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if s.CachedInfo().Cluster.Leader == nodeNameOf(i) {
			return i
		}
	}
	t.Fatalf("no leader: %+v", s.CachedInfo().Cluster)
	return -1
}

const fromOther = "from the other pp"

func TestClusterLosesNothingWhenItsLeaderIsKilledOrCutOff(t *testing.T) {
	c := startCluster(t)
	cfg := eventlog.DefaultConfig("")
	cfg.URL = c.url()
	l := open(t, cfg)

	// A reader follows all the while.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var followed sync.WaitGroup
	read := map[string]bool{}
	var readErr error
	followed.Go(func() {
		for f, err := range l.Read(ctx, 1) {
			if err != nil {
				if ctx.Err() == nil {
					readErr = err
				}
				return
			}
			for _, r := range f.Records {
				read[string(r.Data)] = true
			}
			if read[fromOther] {
				return // the last one
			}
		}
	})

	d := startLoad(t, l, 16)
	d.await(500)

	leader := c.leader(t)
	t.Logf("kill the leader, node %d", leader)
	c.kill(leader)
	d.await(500)
	c.start(leader)
	d.await(200)

	leader = c.leader(t)
	t.Logf("cut the leader off, node %d", leader)
	c.isolate(leader, true)
	d.await(500)
	if now := c.leaderOtherThan(t, leader); now == leader {
		t.Errorf("node %d still leads although it is cut off", leader)
	}
	c.isolate(leader, false)
	d.await(200)

	b := d.finish()
	if err := l.Commit(t.Context(), "reader", 7); err != nil {
		t.Fatal(err)
	}
	b.cursor = 7
	park(t, l, headlessly.ParkedItem{Tenant: "acme", Destination: "ga4", Event: []byte("parked")})
	b.parked["parked"] = true

	// A second process sees it all, once the node that was cut off has learnt
	// that it leads no more: until then it answers from what it knew.
	c.settle(t)
	other := open(t, cfg)
	if missing := b.checkLog(t, other); missing > 0 {
		t.Errorf("%d of %d acknowledged records are missing", missing, len(b.acked))
	}
	at := mustAppend(t, other, event("%s", fromOther))
	for f, err := range l.Read(t.Context(), uint64(at)>>16) {
		if err != nil || string(f.Records[0].Data) != fromOther {
			t.Errorf("read what another process wrote: got %v, %v", f.Records, err)
		}
		break
	}
	followed.Wait()
	if readErr != nil {
		t.Errorf("the reader that followed was told: %v", readErr)
	}
	for name := range b.acked {
		if !read[name+" pp"] {
			t.Errorf("record %s was not read by the reader that followed", name)
			break
		}
	}
	t.Logf("%d acknowledged records", len(b.acked))
}

// settle waits until all nodes agree on each stream's leader and are current.
func (c *cluster) settle(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !c.settled(t) {
		if time.Now().After(deadline) {
			t.Fatal("the cluster does not come together again")
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (c *cluster) settled(t testing.TB) bool {
	t.Helper()
	leaders := map[string]string{}
	for i := range 3 {
		nc, err := nats.Connect("nats://" + c.client[i].addr())
		if err != nil {
			return false
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return false
		}
		for _, name := range []string{"events", "cursors", "parked"} {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			s, err := js.Stream(ctx, name)
			cancel()
			if err != nil {
				return false
			}
			info := s.CachedInfo().Cluster
			if leader, ok := leaders[name]; info.Leader == "" || ok && leader != info.Leader {
				return false
			}
			leaders[name] = info.Leader
			for _, r := range info.Replicas {
				if !r.Current || r.Lag > 0 {
					return false
				}
			}
		}
	}
	return true
}

// leaderOtherThan asks, through a node that is not cut off, who leads.
func (c *cluster) leaderOtherThan(t testing.TB, cut int) int {
	t.Helper()
	c.client[cut].setCut(true)
	defer c.client[cut].setCut(false)
	return c.leader(t)
}
