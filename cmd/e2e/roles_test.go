package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/forwarders/sinks"
)

// TestRolesSplitAGatewayInTwo has one gateway accept and another forward, store
// and answer, over one NATS cluster. The second is killed meanwhile: the first
// goes on accepting, and nothing is lost or stored twice.
func TestRolesSplitAGatewayInTwo(t *testing.T) {
	standins, host := providers(t)
	yaml := analytics("shop", host) + "log: {replicas: 3, nats: \"" + natsCluster(t) + "\"}\n"
	door := newGateway(t, yaml+"roles: [collect]\n")
	works := newGateway(t, yaml+"roles: [forward, lake, control]\n")

	if c, err := net.Dial("tcp", door.control); err == nil {
		_ = c.Close()
		t.Error("the gateway that only collects has a control plane")
	}
	if status, body := works.post(t, "/e?t=shop", `{"events":[{"event":"Signed Up"}]}`); status != http.StatusNotFound || !strings.Contains(body, "does not collect") {
		t.Errorf("an event at the other: got %d %s", status, body)
	}

	const id = "0193a2b4-7c11-7e00-8a3c-5f0d1f4a%04d"
	sent := 0
	send := func(n int) {
		t.Helper()
		for range n {
			body := fmt.Sprintf(`{"events":[{"messageId":"`+id+`","event":"Signed Up","userId":"user-1","userAgent":"Mozilla/5.0 Chrome/142.0.0.0"}]}`, sent)
			if status, answer := door.post(t, "/e?t=shop", body); status != http.StatusAccepted {
				t.Fatalf("event %d: got %d %s", sent, status, answer)
			}
			sent++
		}
	}
	arrived := func() bool { return len(standins.Events(sinks.PostHog)) >= sent }
	send(30)
	wait(t, "they are forwarded", arrived)
	if c := standins.Counts(); c.Duplicates[sinks.PostHog] != 0 {
		t.Errorf("%d were sent twice while nothing failed", c.Duplicates[sinks.PostHog])
	}
	works.kill(t)
	send(30)
	works.start(t)
	send(30)
	wait(t, "those of the time without a forwarder are forwarded too", arrived)
	var rows []struct{ N, Ids int }
	wait(t, "each is stored", func() bool {
		works.sql(t, &rows, "select count(*) as n, count(distinct message_id) as ids from events", "--tenant", "shop")
		return len(rows) == 1 && rows[0].N >= sent
	})
	if rows[0].N != sent || rows[0].Ids != sent {
		t.Errorf("got %+v rows, want %d", rows[0], sent)
	}
}
