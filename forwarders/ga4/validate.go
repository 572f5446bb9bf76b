package ga4

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

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
	for i := range requests {
		found, _, err := d.ask(ctx, &requests[i], now)
		if err != nil {
			return out, fmt.Errorf("ask the validation server: %w", err)
		}
		out = append(out, found...)
	}
	return out, nil
}

// ask puts a request to the validation server.
func (d *Destination) ask(ctx context.Context, r *request, now time.Time) ([]Finding, send.Answer, error) {
	r.URL = strings.Replace(r.URL, "/mp/collect?", "/debug/mp/collect?", 1)
	r.NeedBody = true
	answer, err := send.Do(ctx, d.deps.Client, &r.Request, now)
	if err != nil {
		return nil, answer, err
	}
	var found struct {
		Messages []Finding `json:"validationMessages"`
	}
	if err := json.Unmarshal(answer.Body, &found); err != nil {
		return nil, answer, &headlessly.Temporary{Err: errors.New("the validation server's answer cannot be read")}
	}
	return found.Messages, answer, nil
}

// SkipValid is why a valid event is not delivered in validation mode.
const SkipValid = "valid; validation mode records nothing at google"

// validated sends a request in validation mode: each event's result is what the
// validation server says of it.
func (d *Destination) validated(ctx context.Context, r *request, now time.Time, results []forwarders.Result) {
	found, answer, err := d.ask(ctx, r, now)
	for at, i := range r.index {
		own := forwarders.Result{Err: err, Status: answer.Status}
		if err == nil {
			own.Err = verdict(found, at)
		}
		results[i] = own
	}
}

// verdict is what findings say of the event at a place of its request.
func verdict(found []Finding, at int) error {
	var says []string
	for _, f := range found {
		// What is not about one event is about all of them.
		if path, about := strings.CutPrefix(f.FieldPath, "events["); about && !strings.HasPrefix(path, strconv.Itoa(at)+"]") {
			continue
		}
		says = append(says, strings.TrimSpace(f.Code+" "+f.FieldPath+" "+f.Description))
	}
	if len(says) == 0 {
		return &forwarders.Skipped{Reason: SkipValid}
	}
	return &headlessly.Permanent{Err: errors.New("google would not take it: " + strings.Join(says, "; "))}
}
