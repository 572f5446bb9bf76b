package dedupe_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/dedupe"
)

// clock is set by hand.
type clock struct{ us atomic.Int64 }

func (c *clock) now() time.Time          { return time.UnixMicro(c.us.Load()) }
func (c *clock) advance(d time.Duration) { c.us.Add(d.Microseconds()) }

// fixture is an index over a log in a folder of its own.
type fixture struct {
	*dedupe.Index
	log   *memoryLog
	clock *clock
	cfg   dedupe.Config
}

func open(t testing.TB, change ...func(*dedupe.Config)) *fixture {
	t.Helper()
	f := &fixture{clock: &clock{}}
	f.clock.us.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMicro())
	f.log = newLog(f.clock.now)
	f.cfg = dedupe.Default(t.TempDir(), f.log)
	f.cfg.Clock = f.clock.now
	for _, c := range change {
		c(&f.cfg)
	}
	f.reopen(t)
	t.Cleanup(func() {
		if err := f.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return f
}

// reopen opens the index again. The former one is left as a killed process
// leaves it.
func (f *fixture) reopen(t testing.TB) {
	t.Helper()
	x, err := dedupe.Open(context.Background(), f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.Index = x
}

// send claims ids as a request does and, where some are new, appends them. It
// gives the new ones.
func (f *fixture) send(t testing.TB, tenant string, ids ...string) []string {
	t.Helper()
	var b dedupe.Batch
	var fresh []string
	f.Begin(&b, tenant)
	defer b.Release()
	for _, id := range ids {
		if b.Add(id) {
			fresh = append(fresh, id)
		}
	}
	if len(fresh) > 0 {
		b.Done(f.log.write(t, tenant, fresh...), nil)
	}
	if err := b.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	return fresh
}

func (f *fixture) flush(t testing.TB) {
	t.Helper()
	if err := f.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func TestADuplicateIsKnown(t *testing.T) {
	for name, between := range map[string]func(t *testing.T, f *fixture){
		"at once":                      func(*testing.T, *fixture) {},
		"after it was written to disk": func(t *testing.T, f *fixture) { t.Helper(); f.flush(t) },
		"a day later, less a minute": func(t *testing.T, f *fixture) {
			t.Helper()
			f.clock.advance(24*time.Hour - time.Minute)
			f.flush(t)
			f.flush(t)
		},
		"after a restart":                 func(t *testing.T, f *fixture) { t.Helper(); closeIt(t, f); f.reopen(t) },
		"after a kill":                    func(t *testing.T, f *fixture) { t.Helper(); f.reopen(t) },
		"after a flush and a kill":        func(t *testing.T, f *fixture) { t.Helper(); f.flush(t); f.reopen(t) },
		"after the index was lost":        func(t *testing.T, f *fixture) { t.Helper(); closeIt(t, f); wipe(t, f.cfg.Dir); f.reopen(t) },
		"after a run was damaged":         func(t *testing.T, f *fixture) { t.Helper(); closeIt(t, f); damage(t, f.cfg.Dir); f.reopen(t) },
		"after a restart, filter on disk": func(t *testing.T, f *fixture) { t.Helper(); closeIt(t, f); f.cfg.MaxFilterBytes = 0; f.reopen(t) },
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			a, b := newID(), newID()
			if got := f.send(t, "acme", a, b, a); len(got) != 2 {
				t.Fatalf("first time: got %d new, want 2", len(got))
			}
			between(t, f)
			if got := f.send(t, "acme", b, a); len(got) != 0 {
				t.Errorf("second time: got %v as new, want none", got)
			}
			if got := f.send(t, "other", a); len(got) != 1 {
				t.Errorf("another tenant's same id: got %d new, want 1", len(got))
			}
			if got := f.send(t, "acme", newID()); len(got) != 1 {
				t.Errorf("another id: got %d new, want 1", len(got))
			}
		})
	}
}

func closeIt(t testing.TB, f *fixture) {
	t.Helper()
	if err := f.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func wipe(t testing.TB, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}

func damage(t testing.TB, dir string) {
	t.Helper()
	runs, err := filepath.Glob(filepath.Join(dir, "*.ids"))
	if err != nil || len(runs) == 0 {
		t.Fatalf("got runs %v, %v", runs, err)
	}
	for _, path := range runs {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)-1] ^= 1
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnIDIsForgottenAfterItsDay(t *testing.T) {
	f := open(t)
	id := newID()
	f.send(t, "acme", id)
	f.flush(t)
	f.clock.advance(26 * time.Hour)
	f.flush(t)
	if got := f.send(t, "acme", id); len(got) != 1 {
		t.Error("an id is still taken after 26 hours")
	}
	f.clock.advance(27 * time.Hour)
	f.flush(t)
	if runs, _ := filepath.Glob(filepath.Join(f.cfg.Dir, "*.ids")); len(runs) != 1 {
		t.Errorf("got %d files, want 1: the first id's is gone, the second's just written", len(runs))
	}
}

func TestWhatTheLogRefusedIsFreeAgain(t *testing.T) {
	f := open(t)
	id := newID()
	var b dedupe.Batch
	f.Begin(&b, "acme")
	b.Add(id)
	b.Done(0, headlessly.ErrLogFull)
	if got := f.send(t, "acme", id); len(got) != 1 {
		t.Error("the id of a refused event stays taken")
	}
}

func TestARequestThatWasGivenUpFreesItsIDs(t *testing.T) {
	f := open(t)
	id := newID()
	var b dedupe.Batch
	f.Begin(&b, "acme")
	b.Add(id)
	b.Release()
	b.Release()
	if got := f.send(t, "acme", id); len(got) != 1 {
		t.Error("the id of a request that was given up stays taken")
	}
}

func TestADuplicateSharesTheOutcomeOfTheAppendUnderWay(t *testing.T) {
	for name, want := range map[string]error{"durable": nil, "failed": headlessly.ErrLogFailed} {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			id := newID()
			var first, second dedupe.Batch
			f.Begin(&first, "acme")
			if !first.Add(id) {
				t.Fatal("a new id is not new")
			}
			f.Begin(&second, "acme")
			if second.Add(id) {
				t.Fatal("an id under way is new")
			}
			second.Done(0, nil) // nothing of its own
			short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			defer cancel()
			if err := second.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("before the append ended: got %v, want a time-out", err)
			}
			go func() {
				if want == nil {
					first.Done(f.log.write(t, "acme", id), nil)
				} else {
					first.Done(0, want)
				}
			}()
			if err := second.Wait(context.Background()); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}

// TestAnAppendWithoutAnswer: the caller's time is up while the frame may still
// be written.
func TestAnAppendWithoutAnswer(t *testing.T) {
	for _, written := range []bool{true, false} {
		f := open(t, func(c *dedupe.Config) { c.DoubtFor = 50 * time.Millisecond })
		id := newID()
		var b dedupe.Batch
		f.Begin(&b, "acme")
		b.Add(id)
		b.Done(0, context.DeadlineExceeded)
		if written {
			f.log.write(t, "acme", id)
		}
		var again dedupe.Batch
		f.Begin(&again, "acme")
		if again.Add(id) {
			t.Fatal("an id in doubt is new")
		}
		again.Release()
		f.flush(t) // returns once the doubt is settled
		if got := f.send(t, "acme", id); (len(got) == 0) != written {
			t.Errorf("written %v: got %d new", written, len(got))
		}
	}
}

func TestEachIDIsNewOnceHoweverManySendIt(t *testing.T) {
	f := open(t, func(c *dedupe.Config) {
		c.MaxKeys = 500
		c.FlushEvery = 10 * time.Millisecond
		c.MaxFilterBytes = 4 << 10
	})
	const ids, senders = 4_000, 8
	all := make([]string, ids)
	for i := range all {
		all[i] = newID()
	}
	var taken [ids]atomic.Int32
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(s), 7))
			var b dedupe.Batch
			for n := 0; n < ids; {
				f.Begin(&b, "acme")
				fresh := []int{}
				for range 1 + r.IntN(20) {
					i := (n + r.IntN(50)) % ids
					n++
					if b.Add(all[i]) {
						fresh = append(fresh, i)
					}
				}
				if r.IntN(10) == 0 {
					b.Done(0, headlessly.ErrLogBusy)
				} else {
					var named []string
					for _, i := range fresh {
						taken[i].Add(1)
						named = append(named, all[i])
					}
					if len(named) > 0 {
						b.Done(f.log.write(t, "acme", named...), nil)
					}
				}
				_ = b.Wait(context.Background())
				b.Release()
			}
		})
	}
	wg.Wait()
	for range 2 {
		f.send(t, "acme", all...)
		count := map[string]int{}
		f.log.mu.Lock()
		for _, frame := range f.log.frames {
			for _, rec := range frame.Records {
				_, id, _ := headlessly.EventID(rec.Data)
				count[id]++
			}
		}
		f.log.mu.Unlock()
		for _, id := range all {
			if count[id] != 1 {
				t.Fatalf("id %s is in the log %d times", id, count[id])
			}
		}
		closeIt(t, f)
		f.reopen(t) // and the next process thinks the same
	}
}

func TestTheCursorFollowsWhatIsOnDisk(t *testing.T) {
	f := open(t)
	f.send(t, "acme", newID())
	f.send(t, "acme", newID())
	if f.log.committed != 0 {
		t.Errorf("before the flush: cursor %d, want 0", f.log.committed)
	}
	f.flush(t)
	if f.log.committed != 2 {
		t.Errorf("after the flush: cursor %d, want 2", f.log.committed)
	}
}

func TestManySmallFilesBecomeFew(t *testing.T) {
	f := open(t)
	var ids []string
	for range 200 {
		id := newID()
		ids = append(ids, id)
		f.send(t, "acme", id)
		f.flush(t)
		f.clock.advance(5 * time.Minute)
	}
	runs, err := filepath.Glob(filepath.Join(f.cfg.Dir, "*.ids"))
	if err != nil || len(runs) > 30 {
		t.Errorf("got %d files, %v; want at most 30", len(runs), err)
	}
	if got := f.send(t, "acme", ids...); len(got) != 0 {
		t.Errorf("got %d new, want none", len(got))
	}
}

func TestALogThatBeganAnewIsReadFromItsStart(t *testing.T) {
	f := open(t)
	for range 5 {
		f.send(t, "acme", newID())
	}
	closeIt(t, f)
	id := newID()
	f.log.frames = nil
	f.log.write(t, "acme", id)
	f.reopen(t)
	if got := f.send(t, "acme", id); len(got) != 0 {
		t.Error("an id of the new log is taken for new")
	}
}

// A disk, or a cluster between leaders, may stand still for long: what it has not
// brought yet is waited for and not taken for trimmed.
func TestASlowLogIsReadToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t)
		var ids []string
		for range 5 {
			ids = append(ids, newID())
			f.send(t, "acme", ids[len(ids)-1])
		}
		closeIt(t, f)
		wipe(t, f.cfg.Dir)
		f.log.slow = func(uint64) { time.Sleep(20 * time.Second) }
		f.reopen(t)
		if fresh := f.send(t, "acme", ids...); len(fresh) > 0 {
			t.Errorf("%d of 5 ids are new again", len(fresh))
		}
	})
}

func TestALogThatWasTrimmedToItsEndHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t)
		f.send(t, "acme", newID())
		f.send(t, "acme", newID())
		f.log.trimmed = 2
		closeIt(t, f)
		wipe(t, f.cfg.Dir)
		before := headlessly.SystemClock()
		f.reopen(t)
		if took := headlessly.SystemClock().Sub(before); took > 0 {
			t.Errorf("the index waited %s for frames that never come", took)
		}
	})
}

func TestConfigReportsEveryFault(t *testing.T) {
	err := dedupe.Config{}.Validate()
	if err == nil || len(strings.Split(err.Error(), "\n")) < 7 {
		t.Errorf("got %v", err)
	}
}
