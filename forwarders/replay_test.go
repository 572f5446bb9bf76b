package forwarders_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
)

func TestReplayFromTheLog(t *testing.T) {
	for _, row := range []struct {
		name string
		p    forwarders.Replay
		want forwarders.ReplayReport
	}{
		{"everything", forwarders.Replay{}, forwarders.ReplayReport{Read: 100, Matched: 100, Delivered: 100, Position: headlessly.LogSeq(10, 9)}},
		{"a dry run", forwarders.Replay{DryRun: true}, forwarders.ReplayReport{Read: 100, Matched: 100, Position: headlessly.LogSeq(10, 9)}},
		{"from a place on", forwarders.Replay{After: headlessly.LogSeq(8, 9)}, forwarders.ReplayReport{Read: 20, Matched: 20, Delivered: 20, Position: headlessly.LogSeq(10, 9)}},
		{"a filter", forwarders.Replay{When: `properties.total > 100`}, forwarders.ReplayReport{Read: 100, Filtered: 100, Position: headlessly.LogSeq(10, 9)}},
		{"a time that has not been", forwarders.Replay{Since: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}, forwarders.ReplayReport{Read: 100, Filtered: 100, Position: headlessly.LogSeq(10, 9)}},
		{"until a time", forwarders.Replay{Until: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}, forwarders.ReplayReport{Read: 100, Matched: 100, Delivered: 100, Position: headlessly.LogSeq(10, 9)}},
		{"another tenant", forwarders.Replay{Tenant: "other"}, forwarders.ReplayReport{Read: 100, Filtered: 100, Position: headlessly.LogSeq(10, 9)}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake("a", nil)
				b := newBench(t, f)
				b.events(100)
				r, stop := start(t, b.cfg)
				time.Sleep(time.Second)
				before := f.delivered()
				p := row.p
				if p.Tenant == "" {
					p.Tenant = "acme"
				}
				p.Destination = "a"
				got, err := r.Replay(t.Context(), forwarders.FromLog(t.Context(), b.log, p.After, 0), p)
				if err != nil || got != row.want {
					t.Errorf("got %+v, %v\nwant %+v", got, err, row.want)
				}
				if before != 100 || f.delivered() != 100 {
					t.Errorf("%d and %d different events: a replay makes no new ones", before, f.delivered())
				}
				conserved(t, r, b.parked)
				stop()
			})
		})
	}
}

func TestReplayOfDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wrongKey atomic.Bool
		wrongKey.Store(true)
		f := newFake("a", func(context.Context, forwarders.Item) error {
			if wrongKey.Load() {
				return &headlessly.Permanent{Status: 401, Err: errors.New("status 401: no such key")}
			}
			return nil
		})
		b := newBench(t, f)
		b.events(30)
		r, stop := start(t, b.cfg)
		time.Sleep(time.Minute)
		p := forwarders.Replay{Tenant: "acme", Destination: "a"}
		from := forwarders.FromParked(t.Context(), b.parked, "acme", "a")
		got, err := r.Replay(t.Context(), from, p)
		synctest.Wait()
		if s := r.Stats()[key("a")]; err != nil || got.Refused != 30 || s.Dead != 30 {
			t.Errorf("while the key is wrong: %+v, %v, %+v", got, err, s)
		}
		conserved(t, r, b.parked)
		wrongKey.Store(false)
		got, err = r.Replay(t.Context(), from, p)
		if s := r.Stats()[key("a")]; err != nil || got.Delivered != 30 || s.Dead != 0 || len(b.parked.All()) != 0 {
			t.Errorf("with the right key: %+v, %v, %+v", got, err, s)
		}
		conserved(t, r, b.parked)
		stop()
	})
}

// What lies behind dead letters that cannot be read is sent, and how many they
// were is said.
func TestAReplayGoesOnBehindDamagedDeadLetters(t *testing.T) {
	for _, row := range []struct {
		name          string
		err           error
		read, missing int64
		fails         bool
	}{
		{"a damaged pack of dead ones", &headlessly.DamagedError{Key: headlessly.ParkedKey{Dead: true}, Items: 7}, 29, 7, false},
		{"a damaged pack of unknown ones", fmt.Errorf("list: %w", &headlessly.DamagedError{Key: headlessly.ParkedKey{Unknown: true}, Items: 7}), 29, 7, false},
		{"a damaged pack of those that are retried by themselves", &headlessly.DamagedError{Items: 7}, 29, 0, false},
		{"a store that does not answer", errDown, 4, 0, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var wrongKey atomic.Bool
				wrongKey.Store(true)
				b := newBench(t, newFake("a", func(context.Context, forwarders.Item) error {
					if wrongKey.Load() {
						return &headlessly.Permanent{Status: 401, Err: errors.New("status 401: no such key")}
					}
					return nil
				}))
				b.events(30)
				r, stop := start(t, b.cfg)
				time.Sleep(time.Minute)
				wrongKey.Store(false)
				b.parked.Damage(b.parked.All()[4].ID, row.err)
				got, err := r.Replay(t.Context(), forwarders.FromParked(t.Context(), b.parked, "acme", "a"), forwarders.Replay{Tenant: "acme", Destination: "a"})
				if (err != nil) != row.fails || got.Delivered != row.read || got.Missing != row.missing {
					t.Errorf("got %+v, %v, want %d delivered and %d missing", got, err, row.read, row.missing)
				}
				stop()
			})
		})
	}
}

func TestADeadLetterThatIsNoEventIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newFake("a", nil))
		r, stop := start(t, b.cfg)
		time.Sleep(time.Second)
		if err := b.parked.Park(t.Context(), headlessly.ParkedItem{Tenant: "acme", Destination: "a", Dead: true, Event: []byte("rubbish")}); err != nil {
			t.Fatal(err)
		}
		got, err := r.Replay(t.Context(), forwarders.FromParked(t.Context(), b.parked, "acme", "a"), forwarders.Replay{Tenant: "acme", Destination: "a"})
		if err != nil || got.Read != 0 || got.Missing != 1 {
			t.Errorf("got %+v, %v, want one missing", got, err)
		}
		stop()
	})
}

func TestAReplayThatIsRefusedLeavesNoDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", func(_ context.Context, it forwarders.Item) error {
			if it.Replay {
				return &headlessly.Permanent{Err: errors.New("event is older than 72h")}
			}
			return nil
		})
		b := newBench(t, f)
		b.events(10)
		r, stop := start(t, b.cfg)
		time.Sleep(time.Second)
		got, err := r.Replay(t.Context(), forwarders.FromLog(t.Context(), b.log, 0, 0), forwarders.Replay{Tenant: "acme", Destination: "a"})
		s := r.Stats()[key("a")]
		if err != nil || got.Refused != 10 || s.SkippedBy[forwarders.SkipReplay] != 10 || len(b.parked.All()) != 0 {
			t.Errorf("got %+v, %v, %+v", got, err, s)
		}
		conserved(t, r, b.parked)
		stop()
	})
}

func TestAnInterruptedReplayGoesOnWhereItStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var replaying atomic.Bool
		seen := make(chan string, 1000)
		f := newFake("a", func(_ context.Context, it forwarders.Item) error {
			if replaying.Load() {
				seen <- it.Event.MessageID
			}
			return nil
		})
		b := newBench(t, f)
		b.events(200)
		r, stop := start(t, b.cfg)
		time.Sleep(time.Second)
		replaying.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		p := forwarders.Replay{Tenant: "acme", Destination: "a", PerSecond: 20}
		first, err := r.Replay(ctx, forwarders.FromLog(ctx, b.log, 0, 0), p)
		cancel()
		if err == nil || first.Delivered == 0 || first.Delivered >= 200 {
			t.Fatalf("the test interrupts too early or too late: %+v, %v", first, err)
		}
		p.After, p.PerSecond = first.Position, 0
		second, err := r.Replay(t.Context(), forwarders.FromLog(t.Context(), b.log, p.After, 0), p)
		if err != nil || first.Delivered+second.Delivered != 200 {
			t.Errorf("first %+v, second %+v, %v", first, second, err)
		}
		times := map[string]int{}
		for range len(seen) {
			times[<-seen]++
		}
		for n := range 200 {
			if got := times[forwardertest.ID(n)]; got != 1 {
				t.Errorf("event %d was sent %d times", n, got)
			}
		}
		stop()
	})
}

func TestOnlyOneReplayToADestinationAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", nil)
		b := newBench(t, f)
		b.events(100)
		p := forwarders.Replay{Tenant: "acme", Destination: "a", PerSecond: 10}
		idle, err := forwarders.NewRouter(b.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := idle.Replay(t.Context(), forwarders.FromLog(t.Context(), b.log, 0, 0), p); !errors.Is(err, forwarders.ErrNotRunning) {
			t.Errorf("without Run: %v", err)
		}
		r, stop := start(t, b.cfg)
		time.Sleep(time.Second)
		done := make(chan error, 1)
		go func() {
			_, err := r.Replay(t.Context(), forwarders.FromLog(t.Context(), b.log, 0, 0), p)
			done <- err
		}()
		time.Sleep(time.Second)
		if _, err := r.Replay(t.Context(), forwarders.FromLog(t.Context(), b.log, 0, 0), p); !errors.Is(err, forwarders.ErrReplaying) {
			t.Errorf("a second one: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("the first one: %v", err)
		}
		p.Destination = "nowhere"
		if _, err := r.Replay(t.Context(), forwarders.FromLog(t.Context(), b.log, 0, 0), p); err == nil {
			t.Error("an unknown destination was taken")
		}
		stop()
	})
}

func TestATracesNextTryWaitsForTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newFake("a", func(context.Context, forwarders.Item) error { return errDown }))
		r, stop := start(t, b.cfg)
		for range 30 {
			b.events(10)
			time.Sleep(time.Second)
		}
		s := r.Stats()[key("a")]
		if s.Breaker != "open" {
			t.Fatalf("the breaker is %s", s.Breaker)
		}
		e := forwardertest.Event("acme", headlessly.TypeTrack, 0, headlessly.SystemClock())
		e.LogSeq = headlessly.LogSeq(1, 0)
		got, err := r.Trace(t.Context(), e, nil)
		if err != nil || got.Destinations[0].State != "parked" || got.Destinations[0].Next.Before(s.Until) {
			t.Errorf("got %+v, %v, want the next try not before %s", got, err, s.Until)
		}
		stop()
	})
}

func TestATraceSaysWhereAnEventWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := newFake("good", nil)
		down := newFake("down", func(context.Context, forwarders.Item) error { return errDown })
		no := newFake("no", func(context.Context, forwarders.Item) error {
			return &headlessly.Permanent{Status: 400, Err: errors.New("status 400: wrong")}
		})
		lost := newFake("lost", func(context.Context, forwarders.Item) error { return &headlessly.Unknown{Err: errors.New("eof")} })
		lost.limits.Idempotent = false
		b := newBench(t, good, down, no, lost)
		var attempts []forwarders.Attempt
		var mu sync.Mutex
		b.cfg.Attempts = func(list []forwarders.Attempt) {
			mu.Lock()
			defer mu.Unlock()
			attempts = append(attempts, list...)
		}
		b.events(1)
		r, stop := start(t, b.cfg)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		e := forwardertest.Event("acme", headlessly.TypeTrack, 0, headlessly.SystemClock())
		e.LogSeq = headlessly.LogSeq(1, 0)
		mu.Lock()
		defer mu.Unlock()
		got, err := r.Trace(t.Context(), e, attempts)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"good": "delivered", "down": "parked", "no": "dead", "lost": "unknown"}
		reasons := map[string]string{"down": "connection refused", "no": "status 400: wrong", "lost": "outcome unknown: eof"}
		for _, step := range got.Destinations {
			if step.State != want[step.Destination] || step.Reason != reasons[step.Destination] || len(step.Attempts) == 0 {
				t.Errorf("got %+v, want %s because of %q", step, want[step.Destination], reasons[step.Destination])
			}
			delete(want, step.Destination)
		}
		if len(want) > 0 {
			t.Errorf("nothing said of %v", want)
		}
		e.Consent, e.MessageID = "denied", forwardertest.ID(9)
		got, _ = r.Trace(t.Context(), e, nil)
		if len(got.Destinations) != 4 || got.Destinations[0].State != "skipped" || got.Destinations[0].Reason != forwarders.SkipConsent {
			t.Errorf("against consent: %+v", got)
		}
		e.Consent, e.LogSeq = "", headlessly.LogSeq(99, 0)
		if got, _ = r.Trace(t.Context(), e, nil); got.Destinations[0].State != "pending" {
			t.Errorf("not read yet: %+v", got)
		}
		stop()
	})
}

func TestAReplayEndsAndSaysWhatTheLogLacks(t *testing.T) {
	for _, row := range []struct {
		name          string
		lack          func(*forwardertest.Log)
		after         int64
		read, missing int64
	}{
		{"nothing", func(*forwardertest.Log) {}, 0, 100, 0},
		{"the newest frame is damaged", func(l *forwardertest.Log) { l.Damage(10, &headlessly.CorruptError{Seq: 10}) }, 0, 90, 1},
		{"the newest frame is missing", func(l *forwardertest.Log) { l.Damage(10, &headlessly.GapError{From: 10, To: 10}) }, 0, 90, 1},
		{"a frame in the middle is damaged", func(l *forwardertest.Log) { l.Damage(5, &headlessly.CorruptError{Seq: 5}) }, 0, 90, 1},
		{"the oldest frames were trimmed before", func(l *forwardertest.Log) { l.Trim(3) }, 0, 70, 0},
		{"all frames were trimmed before", func(l *forwardertest.Log) { l.Trim(10) }, 0, 0, 0},
		{"frames behind the place were trimmed", func(l *forwardertest.Log) { l.Trim(6) }, headlessly.LogSeq(4, 0) - 1, 40, 3},
		{"all frames behind the place were trimmed", func(l *forwardertest.Log) { l.Trim(10) }, headlessly.LogSeq(4, 0) - 1, 0, 7},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake("a", nil)
				b := newBench(t, f)
				b.events(100)
				r, stop := start(t, b.cfg)
				time.Sleep(time.Second)
				row.lack(b.log)
				got, err := r.Replay(t.Context(), forwarders.FromLog(t.Context(), b.log, row.after, 0), forwarders.Replay{Tenant: "acme", Destination: "a"})
				if err != nil || got.Read != row.read || got.Delivered != row.read || got.Missing != row.missing {
					t.Errorf("got %+v, %v, want %d read and %d missing", got, err, row.read, row.missing)
				}
				stop()
			})
		})
	}
}

// A slow replay and a short retention: what is trimmed before it is reached is
// said, not passed over.
func TestWhatIsTrimmedDuringAReplayIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", nil)
		b := newBench(t, f)
		b.events(100)
		r, stop := start(t, b.cfg)
		time.Sleep(time.Second)
		read := 0
		from := func(yield func(forwarders.Replayed, error) bool) {
			for it, err := range forwarders.FromLog(t.Context(), b.log, 0, 0) {
				if read++; read == 25 { // in the third frame
					b.log.Trim(8)
				}
				if !yield(it, err) {
					return
				}
			}
		}
		got, err := r.Replay(t.Context(), from, forwarders.Replay{Tenant: "acme", Destination: "a"})
		if err != nil || got.Read != 50 || got.Missing != 5 {
			t.Errorf("got %+v, %v, want 50 read and 5 missing", got, err)
		}
		stop()
	})
}

func TestSeekFindsTheFirstFrameOfATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := forwardertest.NewLog(headlessly.SystemClock)
		begin := headlessly.SystemClock()
		for range 50 { // a frame a minute, the first at once
			log.Events(forwardertest.Event("acme", headlessly.TypeTrack, 0, headlessly.SystemClock()))
			time.Sleep(time.Minute)
		}
		for _, row := range []struct {
			name  string
			after time.Duration
			want  uint64
		}{
			{"before everything", -time.Hour, 1},
			{"at a frame", 10 * time.Minute, 11},
			{"between two", 10*time.Minute + time.Second, 12},
			{"at the last", 49 * time.Minute, 50},
			{"behind everything", time.Hour, 51},
		} {
			got, err := forwarders.SeekLog(t.Context(), log, begin.Add(row.after))
			if err != nil || got != row.want {
				t.Errorf("%s: got %d, %v, want %d", row.name, got, err, row.want)
			}
		}
		log.Damage(50, &headlessly.CorruptError{Seq: 50})
		if got, err := forwarders.SeekLog(t.Context(), log, begin.Add(49*time.Minute)); got != 50 || err != nil {
			t.Errorf("with a damaged end: got %d, %v, want 50", got, err)
		}
		log.Trim(50)
		if got, err := forwarders.SeekLog(t.Context(), log, begin); got != 1 || err != nil {
			t.Errorf("a log that was trimmed whole: got %d, %v, want 1", got, err)
		}
		empty := forwardertest.NewLog(headlessly.SystemClock)
		if got, err := forwarders.SeekLog(t.Context(), empty, begin); got != 1 || err != nil {
			t.Errorf("an empty log: got %d, %v, want 1", got, err)
		}
	})
}
