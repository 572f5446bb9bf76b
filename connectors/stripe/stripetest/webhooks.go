package stripetest

import (
	"encoding/json"
	"maps"

	"github.com/stripe/stripe-go/v85/webhook"
)

// Delivery is a webhook on its way.
type Delivery struct {
	URL, Signature string
	Body           []byte
	Event          string // its id
}

type webhooks struct{ queue []Delivery }

// emit records an event of an object as it is now, and queues it for the
// endpoints that want it.
func (s *Server) emit(typ string, o Object) {
	c := shortened(o)
	delete(c, "seq")
	raw, err := json.Marshal(c)
	if err != nil {
		panic(err) // the stand-in's own objects
	}
	e := s.add("events", Object{"type": typ, "api_version": Version, "data": Object{"object": json.RawMessage(raw)}, "pending_webhooks": 1})
	out := maps.Clone(e)
	delete(out, "seq")
	body, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	for _, id := range s.lists["webhook_endpoints"] {
		ep := s.objects[id]
		if ep["deleted"] == true || !wants(ep, typ) {
			continue
		}
		url, _ := ep["url"].(string)
		s.hooks.queue = append(s.hooks.queue, Delivery{URL: url, Body: body, Event: e["id"].(string), Signature: s.sign(body, ep["secret"].(string))}) //nolint:forcetypeassert // ours
	}
}

func (s *Server) sign(body []byte, secret string) string {
	return webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret, Timestamp: s.clock()}).Header
}

// Signed is a webhook of an event that a test has written, for the first
// endpoint.
func (s *Server) Signed(event Object) (d Delivery) {
	body, err := json.Marshal(event)
	if err != nil {
		panic(err) // the test's own
	}
	s.Do(func(s *Server) {
		ep := s.objects[s.lists["webhook_endpoints"][0]]
		d = Delivery{URL: str(ep["url"]), Body: body, Event: str(event["id"]), Signature: s.sign(body, str(ep["secret"]))}
	})
	return d
}

func wants(endpoint Object, typ string) bool {
	list, _ := endpoint["enabled_events"].([]any)
	for _, e := range list {
		if e == "*" || e == typ {
			return true
		}
	}
	return false
}

// Webhooks takes the deliveries that wait, oldest first. What becomes of them
// is the test's business: it may lose, double or shuffle them. Signatures are of
// the moment that they are taken.
func (s *Server) Webhooks() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.hooks.queue
	s.hooks.queue = nil
	return out
}
