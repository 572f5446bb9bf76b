package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/headlessly/headlessly/connectors/graph"
)

// Body writes what is posted for one event, or for several at once when batch
// is set; id is what webhook-id says: the same for the same events.
func Body(events []*graph.Happened, batch bool) (id string, body []byte, err error) {
	if !batch {
		body, err = appendEvent(nil, events[0])
		return events[0].Event.ID, body, err
	}
	sum := sha256.New()
	body = append(body, `{"events":[`...)
	for i, h := range events {
		if i > 0 {
			body = append(body, ',')
		}
		if body, err = appendEvent(body, h); err != nil {
			return "", nil, err
		}
		sum.Write([]byte(h.Event.ID))
	}
	return "msg_" + hex.EncodeToString(sum.Sum(nil)[:12]), append(body, `]}`...), nil
}

func appendEvent(b []byte, h *graph.Happened) ([]byte, error) {
	e := h.Event
	for _, f := range [...]struct{ name, value string }{
		{`{"id":`, e.ID},
		{`,"event":`, e.Name},
		{`,"timestamp":`, graph.FormatTime(e.Time)},
		{`,"tenant":`, e.Tenant},
	} {
		b = append(b, f.name...)
		b = strconv.AppendQuote(b, f.value)
	}
	b = append(b, `,"data":`...)
	b, err := h.Entity.AppendJSON(b)
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", e.ID, err)
	}
	before, err := previous(e)
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", e.ID, err)
	}
	if before == nil {
		return append(b, '}'), nil
	}
	b = append(b, `,"previous":{`...)
	for i, name := range slices.Sorted(maps.Keys(before)) {
		if i > 0 {
			b = append(b, ',')
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, quoted...), ':'), before[name]...)
	}
	return append(b, "}}"...), nil
}

// previous gives the changed fields before an event; nil for one that made its
// entity.
func previous(e *graph.Event) (map[string]json.RawMessage, error) {
	if e.Version <= 1 || len(e.Data) == 0 {
		return nil, nil
	}
	var changes map[string]struct {
		Before json.RawMessage `json:"before"`
	}
	if err := json.Unmarshal(e.Data, &changes); err != nil {
		return nil, err
	}
	out := make(map[string]json.RawMessage, len(changes))
	for name, c := range changes {
		if out[name] = c.Before; c.Before == nil {
			out[name] = json.RawMessage("null")
		}
	}
	return out, nil
}
