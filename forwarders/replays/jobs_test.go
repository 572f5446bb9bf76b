package replays_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/replays"
)

// target is a destination that counts what it takes.
type target struct {
	mu   sync.Mutex
	took map[string]int
}

func (d *target) kind() forwarders.Kind {
	return forwarders.Kind{
		Name: "a", Connected: func(headlessly.Destinations) bool { return true }, Takes: func(*headlessly.Event) bool { return true },
		Rules: func(headlessly.Destinations) *headlessly.Rules { return nil },
		Build: func(headlessly.Destinations, forwarders.Deps) (forwarders.Destination, error) { return d, nil },
	}
}

func (d *target) Limits() forwarders.Limits {
	return forwarders.Limits{Items: 10, Bytes: 1 << 20, InFlight: 1, Timeout: time.Minute, Idempotent: true}
}

func (d *target) Deliver(_ context.Context, batch []forwarders.Item) []forwarders.Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, it := range batch {
		d.took[it.Event.MessageID]++
	}
	return make([]forwarders.Result, len(batch))
}

func (d *target) times() map[int]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[int]int{}
	for _, n := range d.took {
		out[n]++
	}
	return out
}

// events gives n events whose places are shuffled: a lake's rows do not come
// in the log's order.
func events(n int, opened *atomic.Int64) replays.Source {
	return func(_ context.Context, r replays.Request, _ int64) (replays.Stream, error) {
		opened.Add(1)
		var list iter.Seq2[forwarders.Replayed, error] = func(yield func(forwarders.Replayed, error) bool) {
			for i := range n {
				e := forwardertest.Event(r.Tenant, headlessly.TypeTrack, i*7%n, headlessly.SystemClock())
				e.LogSeq = headlessly.LogSeq(uint64(1+i*7%n), 0)
				if !yield(forwarders.Replayed{Event: e}, nil) {
					return
				}
			}
		}
		return replays.Stream{Events: list, Total: int64(n)}, nil
	}
}

// start runs a router and jobs over one folder.
func start(t *testing.T, dir string, d *target, sources map[string]replays.Source) (*replays.Jobs, func()) {
	t.Helper()
	return startOver(t, dir, forwardertest.NewParked(), d, sources)
}

// startOver is start with what an earlier run has parked.
func startOver(t *testing.T, dir string, parked headlessly.Parked, d *target, sources map[string]replays.Source) (*replays.Jobs, func()) {
	t.Helper()
	source := forwardertest.NewSource()
	source.Set("acme", headlessly.Destinations{})
	r, err := forwarders.NewRouter(forwarders.Config{
		Log: forwardertest.NewLog(headlessly.SystemClock), Parked: parked, Destinations: source,
		Client: http.DefaultClient, Registry: forwarders.Registry{d.kind()},
	})
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := replays.Open(replays.Config{
		Dir: dir, Replay: r.Replay, Sources: sources, Known: func(name string) bool { return name == "a" },
		Clock: headlessly.SystemClock, Logger: forwarders.Default().Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() { _ = jobs.Run(ctx) })
	synctest.Wait()
	return jobs, func() {
		cancel()
		wg.Wait()
	}
}

// until waits for a job's state.
func until(t *testing.T, jobs *replays.Jobs, id, state string) replays.Job {
	t.Helper()
	for range 1000 {
		job, err := jobs.Get("acme", id)
		if err != nil {
			t.Fatal(err)
		}
		if job.State == state {
			return job
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the job never got %s", state)
	return replays.Job{}
}

func TestAJobThatTheGatewaysStopInterruptsGoesOnByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 500
		dir, d := t.TempDir(), &target{took: map[string]int{}}
		var opened atomic.Int64
		sources := map[string]replays.Source{"lake": events(n, &opened)}
		parked := forwardertest.NewParked()
		jobs, stop := startOver(t, dir, parked, d, sources)
		job, err := jobs.Start(replays.Request{Tenant: "acme", Destination: "a", From: "lake", PerSecond: 50})
		if err != nil || job.State != replays.Running {
			t.Fatalf("got %+v, %v", job, err)
		}
		time.Sleep(4 * time.Second)
		stop()
		first := d.times()[1]
		if first == 0 || first >= n {
			t.Fatalf("the test interrupts too early or too late: %d sent", first)
		}
		jobs, stop = startOver(t, dir, parked, d, sources)
		job = until(t, jobs, job.ID, replays.Done)
		time.Sleep(time.Minute) // what the stop parked is retried on schedule
		if job.Report.Delivered+job.Report.Parked != n || job.Report.Read != n || job.Total != n || job.Share != 1 || job.EndedAt.IsZero() {
			t.Errorf("got %+v", job)
		}
		if got := d.times(); got[1] != n || len(got) != 1 {
			t.Errorf("events by how often they were sent: %v, want %d once", got, n)
		}
		if opened.Load() != 2 {
			t.Errorf("the source was opened %d times, want twice", opened.Load())
		}
		stop()
	})
}

// The files of a job as a kill leaves them, at some moment of its way.
func TestAJobThatAKillInterruptsCountsEachEventOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 500
		dir, d := t.TempDir(), &target{took: map[string]int{}}
		sources := map[string]replays.Source{"lake": events(n, new(atomic.Int64))}
		jobs, stop := start(t, dir, d, sources)
		job, err := jobs.Start(replays.Request{Tenant: "acme", Destination: "a", From: "lake", PerSecond: 37})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(4500 * time.Millisecond)
		killed := filepath.Join(t.TempDir(), "killed")
		if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		stop()
		d.mu.Lock()
		d.took = map[string]int{}
		d.mu.Unlock()
		jobs, stop = start(t, killed, d, sources)
		job = until(t, jobs, job.ID, replays.Done)
		if r := job.Report; r.Delivered != n || r.Read != n || r.Matched != n {
			t.Errorf("got %+v, want each of %d events counted once", r, n)
		}
		if sent := d.times()[1]; sent == 0 || sent >= n {
			t.Errorf("%d events were sent after the kill: the test kills too early or too late", sent)
		}
		stop()
	})
}

// A job that was resumed is one that runs, whatever its end before was.
func TestAResumedJobGoesOnByItselfAfterAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 500
		dir, d := t.TempDir(), &target{took: map[string]int{}}
		sources := map[string]replays.Source{"lake": events(n, new(atomic.Int64))}
		jobs, stop := start(t, dir, d, sources)
		job, err := jobs.Start(replays.Request{Tenant: "acme", Destination: "a", From: "lake", PerSecond: 37})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		if _, err := jobs.Stop("acme", job.ID); err != nil {
			t.Fatal(err)
		}
		until(t, jobs, job.ID, replays.Stopped)
		if _, err := jobs.Resume("acme", job.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		killed := filepath.Join(t.TempDir(), "killed")
		if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		stop()
		jobs, stop = start(t, killed, d, sources)
		job = until(t, jobs, job.ID, replays.Done)
		if r := job.Report; r.Delivered != n || r.Read != n || r.Matched != n {
			t.Errorf("got %+v, want each of %d events counted once", r, n)
		}
		stop()
	})
}

// TestWhatIsDoneCannotBeHalfRead cuts the file of what is done, or takes the
// report behind it away, as the version before wrote it.
func TestWhatIsDoneCannotBeHalfRead(t *testing.T) {
	for _, c := range []struct {
		name  string
		cut   func(raw []byte) []byte
		state string
	}{
		{"nothing is left", func([]byte) []byte { return nil }, replays.Failed},
		{"half is left", func(raw []byte) []byte { return raw[:len(raw)/2] }, replays.Failed},
		{"the report is cut", func(raw []byte) []byte { return raw[:len(raw)-1] }, replays.Failed},
		{"there is no report", func(raw []byte) []byte { return raw[:bytes.LastIndexByte(raw, '{')] }, replays.Done},
		{"whole", func(raw []byte) []byte { return raw }, replays.Done},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 200
				dir, d := t.TempDir(), &target{took: map[string]int{}}
				sources := map[string]replays.Source{"lake": events(n, new(atomic.Int64))}
				jobs, stop := start(t, dir, d, sources)
				job, err := jobs.Start(replays.Request{Tenant: "acme", Destination: "a", From: "lake", PerSecond: 37})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(2500 * time.Millisecond)
				stop()
				file := filepath.Join(dir, job.ID+".done")
				raw, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, c.cut(raw), 0o600); err != nil {
					t.Fatal(err)
				}
				jobs, stop = start(t, dir, d, sources)
				defer stop()
				job = until(t, jobs, job.ID, c.state)
				if got := strings.Contains(job.Error, "cannot be read"); got != (c.state == replays.Failed) {
					t.Errorf("state %s with the error %q", job.State, job.Error)
				}
				if got := d.times(); c.state == replays.Done && (got[1] != n || len(got) != 1) {
					t.Errorf("sent %v, want each of %d once", got, n)
				}
			})
		})
	}
}

func TestAJobIsStoppedAndResumedByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 300
		dir, d := t.TempDir(), &target{took: map[string]int{}}
		jobs, stop := start(t, dir, d, map[string]replays.Source{"lake": events(n, new(atomic.Int64))})
		job, err := jobs.Start(replays.Request{Tenant: "acme", Destination: "a", From: "lake", PerSecond: 50})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if _, err := jobs.Start(replays.Request{Tenant: "acme", Destination: "a", From: "lake"}); !errors.Is(err, forwarders.ErrReplaying) {
			t.Errorf("a second one to the same destination: %v", err)
		}
		if _, err := jobs.Resume("acme", job.ID); !errors.Is(err, replays.ErrRunning) {
			t.Errorf("resuming what runs: %v", err)
		}
		if _, err := jobs.Stop("other", job.ID); !errors.Is(err, replays.ErrNotFound) {
			t.Errorf("another tenant stops it: %v", err)
		}
		if _, err := jobs.Stop("acme", job.ID); err != nil {
			t.Fatal(err)
		}
		stopped := until(t, jobs, job.ID, replays.Stopped)
		if stopped.Share <= 0 || stopped.Share >= 1 {
			t.Errorf("stopped at %+v", stopped)
		}
		stop() // a stopped job stays stopped over a restart
		jobs, stop = start(t, dir, d, map[string]replays.Source{"lake": events(n, new(atomic.Int64))})
		time.Sleep(time.Second)
		until(t, jobs, job.ID, replays.Stopped)
		if _, err := jobs.Resume("acme", job.ID); err != nil {
			t.Fatal(err)
		}
		job = until(t, jobs, job.ID, replays.Done)
		if got := d.times(); job.Report.Delivered != n || got[1] != n || len(got) != 1 {
			t.Errorf("got %+v, sent %v", job.Report, got)
		}
		if _, err := jobs.Resume("acme", job.ID); !errors.Is(err, replays.ErrDone) {
			t.Errorf("resuming what is done: %v", err)
		}
		if list := jobs.List("acme"); len(list) != 1 || len(jobs.List("other")) != 0 {
			t.Errorf("got %d jobs", len(list))
		}
		stop()
	})
}

func TestADryRunSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &target{took: map[string]int{}}
		jobs, stop := start(t, t.TempDir(), d, map[string]replays.Source{"lake": events(250, new(atomic.Int64))})
		job, err := jobs.Start(replays.Request{Tenant: "acme", Destination: "a", From: "lake", DryRun: true, Filter: `type == "track"`})
		if err != nil {
			t.Fatal(err)
		}
		job = until(t, jobs, job.ID, replays.Done)
		if job.Report.Matched != 250 || job.Report.Delivered != 0 || len(d.times()) != 0 {
			t.Errorf("got %+v, sent %v", job.Report, d.times())
		}
		stop()
	})
}

func TestAFaultySourceFailsTheJobAndNamesTheFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &target{took: map[string]int{}}
		broken := true
		source := func(ctx context.Context, r replays.Request, after int64) (replays.Stream, error) {
			s, err := events(40, new(atomic.Int64))(ctx, r, after)
			if broken {
				inner := s.Events
				s.Events = func(yield func(forwarders.Replayed, error) bool) {
					n := 0
					for it := range inner {
						if n++; n > 20 {
							yield(forwarders.Replayed{}, errors.New("the disk is gone"))
							return
						}
						if !yield(it, nil) {
							return
						}
					}
				}
			}
			return s, err
		}
		jobs, stop := start(t, t.TempDir(), d, map[string]replays.Source{"lake": source})
		job, err := jobs.Start(replays.Request{Tenant: "acme", Destination: "a", From: "lake"})
		if err != nil {
			t.Fatal(err)
		}
		if job = until(t, jobs, job.ID, replays.Failed); !strings.Contains(job.Error, "the disk is gone") || job.Report.Delivered != 20 {
			t.Errorf("got %+v", job)
		}
		broken = false
		if _, err := jobs.Resume("acme", job.ID); err != nil {
			t.Fatal(err)
		}
		if job = until(t, jobs, job.ID, replays.Done); job.Report.Delivered != 40 || d.times()[1] != 40 {
			t.Errorf("got %+v, sent %v", job, d.times())
		}
		stop()
	})
}

func TestARequestAtFaultIsRefusedWithEveryFault(t *testing.T) {
	jobs, err := replays.Open(replays.Config{
		Dir: t.TempDir(), Sources: map[string]replays.Source{"log": nil, "lake": nil}, Known: func(string) bool { return false },
		Clock: headlessly.SystemClock, Logger: forwarders.Default().Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	now := headlessly.SystemClock()
	err = jobs.Check(replays.Request{Destination: "fax", From: "memory", Since: now, Until: now.Add(-time.Hour), PerSecond: -1, Filter: "1 +"})
	var fields []string
	many, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // the joined error itself is wanted
	if !ok {
		t.Fatalf("got %v, want a joined error", err)
	}
	for _, e := range many.Unwrap() {
		var f *headlessly.FieldError
		if errors.As(e, &f) {
			fields = append(fields, f.Field)
		}
	}
	if want := []string{"destination", "from", "until", "perSecond", "filter"}; !slices.Equal(fields, want) {
		t.Errorf("got faults of %v, want %v: %v", fields, want, err)
	}
	if _, err := jobs.Start(replays.Request{Destination: "fax"}); err == nil {
		t.Error("it was started")
	}
}
