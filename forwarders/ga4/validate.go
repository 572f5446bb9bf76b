package ga4

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/send"
)

// Finding is one complaint of Google's validation server.
type Finding struct {
	FieldPath   string `json:"fieldPath"`
	Description string `json:"description"`
	Code        string `json:"validationCode"`
}

// Validate asks Google's validation server what it thinks of events, in the
// form in which they would be sent. Nothing is recorded there. It needs an API
// secret, though the server does not check it: only the Measurement Protocol
// can be validated. An event that would not be sent at all is an error.
func (d *Destination) Validate(ctx context.Context, events ...*headlessly.Event) ([]Finding, error) {
	if !d.conf.APISecret.Set() {
		return nil, errors.New("validation needs an api secret: /g/collect has no validation server")
	}
	items := make([]forwarders.Item, 0, len(events))
	for _, e := range events {
		items = append(items, forwarders.Item{Event: e})
	}
	now := d.deps.Clock()
	results := make([]forwarders.Result, len(items))
	requests := d.measurement(items, now, results)
	for i, r := range results {
		if r.Err != nil {
			return nil, fmt.Errorf("event %d: %w", i, r.Err)
		}
	}
	var out []Finding
	for _, r := range requests {
		r.URL = strings.Replace(r.URL, "/mp/collect?", "/debug/mp/collect?", 1)
		r.NeedBody = true
		answer, err := send.Do(ctx, d.deps.Client, &r.Request, now)
		if err != nil {
			return out, fmt.Errorf("ask the validation server: %w", err)
		}
		var found struct {
			Messages []Finding `json:"validationMessages"`
		}
		if err := json.Unmarshal(answer.Body, &found); err != nil {
			return out, errors.New("the validation server's answer cannot be read")
		}
		out = append(out, found.Messages...)
	}
	return out, nil
}
