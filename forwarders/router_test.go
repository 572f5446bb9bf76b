package forwarders_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
)

var errDown = &headlessly.Temporary{Err: errors.New("connection refused")}

func TestASickDestinationHarmsNobodyElse(t *testing.T) {
	hang := func(ctx context.Context, _ forwarders.Item) error {
		<-ctx.Done()
		return &headlessly.Unknown{Err: ctx.Err()}
	}
	drip := func(context.Context, forwarders.Item) error {
		time.Sleep(time.Second)
		return nil
	}
	refuse := func(context.Context, forwarders.Item) error { return errDown }
	throttle := func(context.Context, forwarders.Item) error {
		return &headlessly.Temporary{After: time.Hour, Throttled: true, Err: errors.New("slow down")}
	}
	for name, sick := range map[string]func(context.Context, forwarders.Item) error{
		"dead: never answers": hang, "dripping: one item a second": drip, "refusing connections": refuse, "429 for an hour": throttle,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bad, good := newFake("bad", sick), newFake("good", nil)
				b := newBench(t, bad, good)
				b.cfg.QueueItems = 10_000
				r, stop := start(t, b.cfg)
				for range 100 { // 5,000 events a second for 10 seconds
					b.events(500)
					time.Sleep(100 * time.Millisecond)
					if want := b.sent; good.delivered() < want {
						t.Fatalf("the healthy destination has %d of %d events", good.delivered(), want)
					}
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if got, want := b.committed(), uint64(b.sent/10); got != want {
					t.Errorf("committed %d, want %d: the sick destination held frames back", got, want)
				}
				conserved(t, r, b.parked)
				stop()
				conserved(t, r, b.parked)
			})
		})
	}
}

func TestEverythingIsDeliveredAfterRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		f := newFake("a", func(context.Context, forwarders.Item) error {
			if down.Load() {
				return errDown
			}
			return nil
		})
		b := newBench(t, f)
		r, stop := start(t, b.cfg)
		b.events(5000)
		time.Sleep(6 * time.Hour)
		if got := f.delivered(); got != 0 {
			t.Fatalf("%d delivered while down", got)
		}
		tried := f.called()
		if limit := 200; tried > limit { // the breaker: a try each five minutes, and the first few
			t.Errorf("%d calls in six hours, want at most %d", tried, limit)
		}
		down.Store(false)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if got := f.delivered(); got != 5000 {
			t.Errorf("%d delivered after recovery, want 5000", got)
		}
		if got := r.Stats()[key("a")]; got.Delivered != 5000 || got.Parked != 0 || got.Pending != 0 {
			t.Errorf("counters: %+v", got)
		}
		conserved(t, r, b.parked)
		stop()
	})
}

func TestAnItemsResultDecidesItsFate(t *testing.T) {
	refused := errors.New("status 400: no such project")
	for _, row := range []struct {
		name       string
		err        error
		idempotent bool
		want       forwarders.Stat
		reason     string
	}{
		{"delivered", nil, true, forwarders.Stat{Delivered: 1}, ""},
		{"no use for it", &forwarders.Skipped{Reason: "no"}, true, forwarders.Stat{Skipped: 1}, ""},
		{"refused for good", &headlessly.Permanent{Status: 400, Err: refused}, true, forwarders.Stat{Dead: 1}, "no such project"},
		{"refused, wrapped", fmt.Errorf("deliver: %w", &headlessly.Permanent{Err: refused}), true, forwarders.Stat{Dead: 1}, "no such project"},
		{"unknown, provider keeps duplicates", &headlessly.Unknown{Err: errors.New("eof")}, false, forwarders.Stat{Unknown: 1}, "eof"},
		{"unknown, provider drops duplicates", &headlessly.Unknown{Err: errors.New("eof")}, true, forwarders.Stat{Parked: 1}, "eof"},
		{"temporary", errDown, false, forwarders.Stat{Parked: 1}, "connection refused"},
		{"an error of no known type", errors.New("odd"), false, forwarders.Stat{Parked: 1}, "odd"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake("a", func(context.Context, forwarders.Item) error { return row.err })
				f.limits.Idempotent = row.idempotent
				b := newBench(t, f)
				r, stop := start(t, b.cfg)
				b.events(1)
				time.Sleep(12 * time.Second)
				synctest.Wait()
				s := r.Stats()[key("a")]
				got := forwarders.Stat{Delivered: s.Delivered, Skipped: s.Skipped, Parked: s.Parked, Dead: s.Dead, Unknown: s.Unknown}
				if fmt.Sprint(got) != fmt.Sprint(row.want) {
					t.Errorf("got %+v, want %+v", s, row.want)
				}
				if b.committed() != 1 {
					t.Error("the frame is not committed")
				}
				conserved(t, r, b.parked)
				if items := b.parked.All(); row.reason != "" && (len(items) != 1 || !strings.Contains(items[0].Reason, row.reason)) {
					t.Errorf("parked %+v, want reason %q", items, row.reason)
				}
				stop()
			})
		})
	}
}

func TestADeadOrUnknownItemIsNeverRetriedOnSchedule(t *testing.T) {
	for name, err := range map[string]error{
		"dead": &headlessly.Permanent{Err: errors.New("no")}, "unknown": &headlessly.Unknown{Err: errors.New("lost")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake("a", func(context.Context, forwarders.Item) error { return err })
				f.limits.Idempotent = false
				b := newBench(t, f)
				b.cfg.Scan = time.Minute
				_, stop := start(t, b.cfg)
				b.events(1)
				time.Sleep(80 * time.Hour)
				stop()
				r, stop := start(t, b.cfg) // nor by the next run
				time.Sleep(80 * time.Hour)
				if f.called() != 1 {
					t.Errorf("tried %d times, want once", f.called())
				}
				conserved(t, r, b.parked)
				stop()
			})
		})
	}
}

// The destination fails right after the start, so that what is parked is not
// looked through to its end.
func TestARestartCountsWhatIsParkedByItsState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var unknown, up atomic.Bool
		f := newFake("a", func(context.Context, forwarders.Item) error {
			switch {
			case up.Load():
				return nil
			case unknown.Load():
				return &headlessly.Unknown{Err: errors.New("connection reset")}
			}
			return errDown
		})
		f.limits.Idempotent = false
		b := newBench(t, f)
		_, stop := start(t, b.cfg)
		b.events(200) // parked
		time.Sleep(time.Minute)
		stop()
		unknown.Store(true)
		_, stop = start(t, b.cfg)
		b.events(50) // of these the outcome is unknown, and of some parked ones
		time.Sleep(time.Second)
		stop()
		unknown.Store(false)
		r, stop := start(t, b.cfg)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := r.Stats()[key("a")]; s.Unknown == 0 || s.Parked == 0 {
			t.Fatalf("the test made nothing unknown or nothing parked: %+v", s)
		}
		conserved(t, r, b.parked)
		up.Store(true)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if s := r.Stats()[key("a")]; s.Parked != 0 || s.Unknown == 0 {
			t.Errorf("after the recovery: %+v, want none parked, and the unknown ones left alone", s)
		}
		conserved(t, r, b.parked)
		stop()
	})
}

func TestRetriesKeepIdAndTimestamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		seen := map[string]map[int64]bool{}
		n := 0
		f := newFake("a", func(_ context.Context, it forwarders.Item) error {
			mu.Lock()
			defer mu.Unlock()
			if seen[it.Event.MessageID] == nil {
				seen[it.Event.MessageID] = map[int64]bool{}
			}
			seen[it.Event.MessageID][it.Event.Timestamp] = true
			if n++; n < 100 {
				return errDown
			}
			return nil
		})
		b := newBench(t, f)
		_, stop := start(t, b.cfg)
		b.events(20)
		time.Sleep(24 * time.Hour)
		stop()
		if f.delivered() != 20 || len(seen) != 20 {
			t.Fatalf("delivered %d of 20, ids %d", f.delivered(), len(seen))
		}
		for id, ts := range seen {
			if len(ts) != 1 {
				t.Errorf("event %s was sent with %d timestamps", id, len(ts))
			}
		}
	})
}

func TestAfterSeventyTwoHoursAnItemIsADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", func(context.Context, forwarders.Item) error { return errDown })
		b := newBench(t, f)
		r, stop := start(t, b.cfg)
		b.events(3)
		time.Sleep(71 * time.Hour)
		if s := r.Stats()[key("a")]; s.Dead != 0 {
			t.Errorf("dead after 71 hours: %+v", s)
		}
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		if s := r.Stats()[key("a")]; s.Dead != 3 {
			t.Errorf("after 75 hours: %+v", s)
		}
		for _, it := range b.parked.All() {
			if !it.Dead || !strings.Contains(it.Reason, "gave up after 72h") || !strings.Contains(it.Reason, "connection refused") {
				t.Errorf("parked %+v", it)
			}
		}
		conserved(t, r, b.parked)
		stop()
	})
}

func TestAProvidersWaitIsKeptAndBounded(t *testing.T) {
	for _, row := range []struct {
		name      string
		after     time.Duration
		no, yes   time.Duration // not yet delivered, delivered
		throttled bool
	}{
		{"a minute", time.Minute, 59 * time.Second, 3 * time.Minute, true},
		{"two hours", 2 * time.Hour, 119 * time.Minute, 3 * time.Hour, true},
		{"a century: six hours are enough", 876000 * time.Hour, 5 * time.Hour, 8 * time.Hour, true},
		{"503 with a wait", 10 * time.Minute, 9 * time.Minute, 20 * time.Minute, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var first atomic.Bool
				f := newFake("a", func(context.Context, forwarders.Item) error {
					if first.CompareAndSwap(false, true) {
						return &headlessly.Temporary{After: row.after, Throttled: row.throttled, Err: errors.New("wait")}
					}
					return nil
				})
				b := newBench(t, f)
				_, stop := start(t, b.cfg)
				b.events(1)
				time.Sleep(row.no)
				if f.delivered() != 0 {
					t.Errorf("delivered within %s", row.no)
				}
				time.Sleep(row.yes - row.no)
				if f.delivered() != 1 {
					t.Errorf("not delivered within %s", row.yes)
				}
				stop()
			})
		})
	}
}

func TestAPanicCostsOneItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		poison := forwardertest.ID(7)
		f := newFake("a", func(_ context.Context, it forwarders.Item) error {
			if it.Event.MessageID == poison {
				panic("canary-value")
			}
			return nil
		})
		b := newBench(t, f)
		r, stop := start(t, b.cfg)
		b.events(20)
		time.Sleep(time.Minute)
		stop()
		if s := r.Stats()[key("a")]; s.Dead != 1 || s.Delivered != 19 {
			t.Errorf("got %+v", s)
		}
		if items := b.parked.All(); len(items) != 1 || !strings.Contains(items[0].Reason, "router_test.go") || strings.Contains(items[0].Reason, "canary") {
			t.Errorf("parked %+v", items)
		}
	})
}

func TestAStopLosesNothingAndRepeatsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", func(context.Context, forwarders.Item) error {
			time.Sleep(300 * time.Millisecond)
			return nil
		})
		b := newBench(t, f)
		b.events(1000)
		_, stop := start(t, b.cfg)
		time.Sleep(time.Second)
		stop()
		if got := f.delivered(); got == 0 || got == 1000 {
			t.Fatalf("the test stops too early or too late: %d delivered", got)
		}
		r, stop := start(t, b.cfg)
		time.Sleep(30 * time.Minute)
		stop()
		for n := range 1000 {
			if got := f.took[forwardertest.ID(n)]; got != 1 {
				t.Errorf("event %d was delivered %d times", n, got)
			}
		}
		conserved(t, r, b.parked)
	})
}

func TestAFullDiskHoldsTheCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		full.Store(true)
		f := newFake("a", func(context.Context, forwarders.Item) error { return &headlessly.Permanent{Err: errors.New("no")} })
		b := newBench(t, f)
		b.parked.Fail = func() error {
			if full.Load() {
				return errors.New("no space left")
			}
			return nil
		}
		r, stop := start(t, b.cfg)
		b.events(10)
		time.Sleep(time.Hour)
		if b.committed() != 0 {
			t.Error("committed although nothing could be parked")
		}
		full.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if b.committed() != 1 || r.Stats()[key("a")].Dead != 10 {
			t.Errorf("committed %d, %+v", b.committed(), r.Stats()[key("a")])
		}
		stop()
	})
}

// The destination has the events and does not answer: whether it took them is
// not known, so that they must not be sent again, also after a stop.
func TestWhatAStopCutsOffIsKeptAsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		f := newFake("a", func(ctx context.Context, _ forwarders.Item) error {
			calls.Add(1)
			<-ctx.Done()
			return &headlessly.Unknown{Err: ctx.Err()}
		})
		f.limits.Idempotent, f.limits.Timeout, f.limits.Items = false, time.Minute, 10
		b := newBench(t, f)
		b.cfg.Deliveries = forwardertest.NewLog(headlessly.SystemClock)
		r, stop := start(t, b.cfg)
		b.events(10)
		time.Sleep(time.Second)
		stop()
		if s := r.Stats()[key("a")]; s.Unknown != 10 || s.Pending != 0 || b.committed() != 1 {
			t.Errorf("after the stop: %+v, committed %d, want 10 unknown", s, b.committed())
		}
		if n := r.Totals().Unrecorded; n != 0 {
			t.Errorf("%d attempts were not recorded", n)
		}
		conserved(t, r, b.parked)
		sent := calls.Load()
		r, stop = start(t, b.cfg)
		time.Sleep(time.Hour)
		if again := calls.Load() - sent; again != 0 {
			t.Errorf("%d events were sent again after the restart", again)
		}
		conserved(t, r, b.parked)
		stop()
	})
}

// More waits for the disk than the reader lets wait, and the disk takes nothing
// any more: the router must still end, and what it could not park comes again.
func TestADiskThatTakesNothingDoesNotKeepTheRouterFromItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full, up atomic.Bool
		full.Store(true)
		f := newFake("a", func(context.Context, forwarders.Item) error {
			if up.Load() {
				return nil
			}
			return errDown
		})
		b := newBench(t, f)
		b.parked.Fail = func() error {
			if full.Load() {
				return errors.New("no space left")
			}
			return nil
		}
		b.events(20_000)
		_, stop := start(t, b.cfg)
		time.Sleep(time.Minute)
		before := headlessly.SystemClock()
		stop()
		if took := headlessly.SystemClock().Sub(before); took > time.Minute {
			t.Errorf("the stop took %s", took)
		}
		full.Store(false)
		up.Store(true)
		r, stop := start(t, b.cfg)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := f.delivered(); got != 20_000 {
			t.Errorf("%d of 20000 delivered after the restart", got)
		}
		conserved(t, r, b.parked)
		stop()
	})
}

func TestIdleLanesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", nil)
		b := newBench(t, f)
		r, stop := start(t, b.cfg)
		for n := range 10_000 {
			tenant := fmt.Sprintf("t%d", n)
			b.source.Set(tenant, headlessly.Destinations{})
			b.log.Events(forwardertest.Event(tenant, headlessly.TypePage, n, headlessly.SystemClock()))
		}
		time.Sleep(10 * time.Second)
		if got := r.Totals(); got.Lanes != 10_000 || f.delivered() != 10_000 {
			t.Errorf("lanes %d, delivered %d", got.Lanes, f.delivered())
		}
		time.Sleep(2 * time.Minute)
		if got := r.Totals(); got.Lanes != 0 || got.Items != 0 || got.Bytes != 0 {
			t.Errorf("after two idle minutes: %+v", got)
		}
		stop()
	})
}

func TestWhatIsNoEventIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", nil)
		b := newBench(t, f)
		rejected, _ := (&headlessly.Rejected{Tenant: "acme", Raw: []byte("{")}).AppendBinary(nil) // never fails
		_, _ = b.log.Append(t.Context(),
			headlessly.Record{Kind: headlessly.RecordRejected, Data: rejected},
			headlessly.Record{Kind: headlessly.RecordReceipt, Data: []byte("raw")},
			headlessly.Record{Kind: headlessly.RecordEvent, Data: []byte{0xff}})
		b.events(1)
		r, stop := start(t, b.cfg)
		time.Sleep(time.Second)
		stop()
		if s, tot := r.Stats()[key("a")], r.Totals(); s.Accepted != 1 || s.Delivered != 1 || tot.BadRecords != 1 || b.committed() != 2 {
			t.Errorf("stat %+v, totals %+v, committed %d", s, tot, b.committed())
		}
	})
}

func TestNewSettingsCountFromTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", nil)
		b := newBench(t, f)
		wrong := errors.New("dsn cannot be read")
		b.cfg.Registry[0].Build = func(d headlessly.Destinations, _ forwarders.Deps) (forwarders.Destination, error) {
			if d.Sentry == nil {
				return nil, wrong
			}
			return f, nil
		}
		r, stop := start(t, b.cfg)
		b.events(1)
		time.Sleep(time.Second)
		if s := r.Stats()[key("a")]; s.Dead != 1 || s.LastError != wrong.Error() {
			t.Errorf("with wrong settings: %+v", s)
		}
		b.source.Set("acme", headlessly.Destinations{Sentry: &headlessly.SentryDestination{}})
		b.events(1)
		time.Sleep(time.Second)
		if s := r.Stats()[key("a")]; s.Delivered != 1 {
			t.Errorf("with right settings: %+v", s)
		}
		stop()
	})
}

func TestTheParkedStoreStaysWithinItsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", func(_ context.Context, it forwarders.Item) error {
			if it.Event.MessageID == forwardertest.ID(0) {
				return &headlessly.Permanent{Err: errors.New("no")}
			}
			return errDown
		})
		b := newBench(t, f)
		b.cfg.MaxParked, b.cfg.KeepDead = 1000, 48*time.Hour
		r, stop := start(t, b.cfg)
		b.events(5000)
		time.Sleep(time.Minute)
		synctest.Wait()
		s := r.Stats()[key("a")]
		if s.Parked > 1000 || s.Removed < 4000 || s.Dead != 1 {
			t.Errorf("after a minute: %+v", s)
		}
		for _, it := range b.parked.All() { // ids grow with each parking
			if !it.Dead && it.ID < 4000 {
				t.Errorf("item %d of more than 5,000 was kept: those parked first must go first", it.ID)
				break
			}
		}
		conserved(t, r, b.parked)
		time.Sleep(60 * time.Hour)
		synctest.Wait()
		if s := r.Stats()[key("a")]; s.Dead != 0 {
			t.Errorf("dead items outlive their keep: %+v", s)
		}
		conserved(t, r, b.parked)
		stop()
	})
}
