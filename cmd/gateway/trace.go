package gateway

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/collector"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/lakehouse"
)

// entityEventPrefix begins the id of an entity's event.
const entityEventPrefix = "evt_"

// Trace implements control.Forwarding. An event is found by every id of it that
// an answer shows: the sender's messageId or the one it is stored under, the id
// in the answer to the request that brought it (the place in the log of the
// request's first event), that place as a number, and an entity event's evt_….
func (f *forwarding) Trace(ctx context.Context, tenant, id string) (forwarders.Trace, error) {
	stored, _ := collector.MessageID(tenant, id)
	event, err := f.eventWhere(ctx, tenant, "message_id = "+literal(stored))
	if err != nil {
		return forwarders.Trace{}, err
	}
	if event == nil && strings.HasPrefix(id, entityEventPrefix) {
		return f.traceEntityEvent(ctx, tenant, id)
	}
	for _, base := range []int{10, 36} {
		if place, err := strconv.ParseInt(id, base, 64); err == nil && event == nil && place > 0 {
			if event, err = f.eventWhere(ctx, tenant, "log_seq = "+strconv.FormatInt(place, 10)); err != nil {
				return forwarders.Trace{}, err
			}
		}
	}
	if event == nil {
		return forwarders.Trace{}, control.ErrNoEvent
	}
	received := headlessly.Time(event.ReceivedAt)
	attempts, err := f.attempts(ctx, tenant, "message_id = "+literal(event.MessageID)+" and "+between(`"at"`, received, time.Time{})+` order by "at", attempt`)
	if err != nil {
		return forwarders.Trace{}, err
	}
	return f.router.Trace(ctx, event, attempts)
}

// eventWhere gives the event that a condition of SQL names, nil where there is
// none.
func (f *forwarding) eventWhere(ctx context.Context, tenant, where string) (*headlessly.Event, error) {
	var found []struct {
		At int64  `json:"at_us"`
		ID string `json:"id"`
	}
	if err := f.rows(ctx, tenant, "select epoch_us(received_at) as at_us, message_id as id from events where "+where+" limit 1", &found); err != nil || len(found) == 0 {
		return nil, err
	}
	received := headlessly.Time(found[0].At)
	for e, err := range f.lake.Events(ctx, lakehouse.EventFilter{Tenant: tenant, From: received, To: received.Add(time.Microsecond), IDs: []string{found[0].ID}}) {
		return &e, err
	}
	return nil, nil //nolint:nilnil // deleted meanwhile
}

// traceEntityEvent says which webhooks and channels an entity's event went to.
func (f *forwarding) traceEntityEvent(ctx context.Context, tenant, id string) (forwarders.Trace, error) {
	var found []struct {
		At    int64  `json:"at_us"`
		Event string `json:"event"`
	}
	if err := f.rows(ctx, tenant, `select epoch_us("timestamp") as at_us, event from entity_events where id = `+literal(id)+" limit 1", &found); err != nil {
		return forwarders.Trace{}, err
	}
	if len(found) == 0 {
		return forwarders.Trace{}, control.ErrNoEvent
	}
	attempts, err := f.attempts(ctx, tenant, "message_id = "+literal(id)+` order by "at", attempt`)
	return forwarders.TraceEntityEvent(tenant, id, found[0].Event, headlessly.Time(found[0].At), attempts), err
}
