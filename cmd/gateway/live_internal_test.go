package gateway

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/forwarders"
)

// A viewer whose connection is slow has events and attempts waiting, in two
// queues; and an attempt may be there before its event.
func TestALiveTailShowsEachEventsDeliveries(t *testing.T) {
	const n = 200
	for _, row := range []struct {
		name  string
		event string // the viewer's filter
		want  int
	}{
		{"all events are watched", "", n},
		{"one in ten is watched", "e?0", n / 10},
	} {
		for _, attemptsFirst := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, attempts first %t", row.name, attemptsFirst), func(t *testing.T) {
				l := &live{ended: make(chan struct{})}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				opened, release := make(chan struct{}), make(chan struct{})
				seen := map[string]bool{} // whether the event was shown already
				deliveries := 0
				var wg sync.WaitGroup
				wg.Go(func() {
					err := l.show(ctx, "acme", control.LiveFilter{Event: row.event}, func(kind string, v any) error {
						switch kind {
						case "open":
							close(opened)
							<-release
						case "event":
							seen[v.(map[string]any)["messageId"].(string)] = true
						case "delivery":
							if a := v.(forwarders.Attempt); !seen[a.MessageID] {
								t.Errorf("%s: its delivery came first", a.MessageID)
							}
							if deliveries++; deliveries == row.want {
								cancel()
							}
						case "lost":
							t.Errorf("lost: %v", v)
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				})
				<-opened
				publish := func() {
					for i := range n {
						data, err := (&headlessly.Event{Tenant: "acme", MessageID: fmt.Sprint(i), Type: "track", Event: fmt.Sprintf("e%d%d", i/10%10, i%10)}).MarshalBinary()
						if err != nil {
							t.Error(err)
						}
						l.tap.Publish(headlessly.LogSeq(uint64(i+1), 0), []headlessly.Record{{Kind: headlessly.RecordEvent, Data: data}})
					}
				}
				if !attemptsFirst {
					publish()
				}
				for i := range n {
					l.attempts([]forwarders.Attempt{{Tenant: "acme", MessageID: fmt.Sprint(i), Destination: "ga4", Outcome: forwarders.OutcomeDelivered}})
				}
				if attemptsFirst {
					publish()
				}
				close(release)
				wg.Wait()
				if deliveries != row.want || len(seen) != row.want {
					t.Errorf("got %d events and %d deliveries, want %d of each", len(seen), deliveries, row.want)
				}
			})
		}
	}
}
