package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/webhook/signature"
)

// inbound is the argument of that name: what an integration takes at its
// inbound URL, how that is verified, and what it means.
type inbound struct {
	Verify          string `json:"verify"`
	Header          string `json:"header"`
	Algorithm       string `json:"algorithm"`
	Encoding        string `json:"encoding"`
	Prefix          string `json:"prefix"`
	TimestampHeader string `json:"timestampHeader"`
	Signed          string `json:"signed"`
	// IDHeader carries the sender's id of the request; without it the body
	// tells requests apart.
	IDHeader string `json:"idHeader"`

	// When is an expression; a request for which it is false means nothing.
	When string `json:"when"`
	// Event has an expression for each field of the Event that a request
	// becomes. Without it, and without Entity, the whole body is its data.
	Event map[string]string `json:"event"`
	// Entity has the request become an entity of another type.
	Entity *entityMapping `json:"entity"`
}

// entityMapping says which entity a request is about: Type and Key are names,
// ID and Fields expressions.
type entityMapping struct {
	Type   string            `json:"type"`
	Key    string            `json:"key"`
	ID     string            `json:"id"`
	Fields map[string]string `json:"fields"`
}

// taker is an inbound that is ready to be used.
type taker struct {
	inbound
	secret   headlessly.Secret
	when, id *vm.Program
	fields   map[string]*vm.Program
}

const (
	maxExpression  = 2000
	maxExpressions = 50
	maxMemory      = 100_000 // of one expression, in the engine's units
)

// env is what an expression sees.
type env struct {
	Body    any               `expr:"body"`
	Headers map[string]string `expr:"headers"`
	Query   string            `expr:"query"`
}

// take reads the argument inbound, nil when there is none.
func take(l *connectors.Link) (*taker, error) {
	v := l.Fields["inbound"]
	if v == nil {
		return nil, nil //nolint:nilnil // an integration that only sends
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	t := &taker{secret: l.Secrets["webhookSecret"], fields: map[string]*vm.Program{}}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&t.inbound); err != nil {
		return nil, fault("inbound", `%v; want an object such as {"verify":"standard","event":{"type":"body.type"}}`, err)
	}
	return t, errors.Join(t.check(), t.compile(l.Graph.Types()))
}

func (t *taker) compile(types *graph.Types) error {
	var errs []error
	program := func(field, source string, more ...expr.Option) *vm.Program {
		if len(source) > maxExpression {
			errs = append(errs, fault("inbound."+field, "is longer than %d characters", maxExpression))
			return nil
		}
		p, err := expr.Compile(source, append(more, expr.Env(env{}), expr.MaxNodes(200))...)
		if err != nil {
			errs = append(errs, fault("inbound."+field, "%v", err))
		}
		return p
	}
	if t.When != "" {
		t.when = program("when", t.When, expr.AsBool())
	}
	sources, typ, prefix := t.Event, "Event", "event."
	if e := t.Entity; e != nil {
		sources, typ, prefix = e.Fields, e.Type, "entity.fields."
		if len(t.Event) > 0 {
			errs = append(errs, fault("inbound", "holds event or entity, not both"))
		}
		if e.ID == "" {
			errs = append(errs, fault("inbound.entity.id", "is missing: an expression for the value of the unique field %s", e.Key))
		} else {
			t.id = program("entity.id", e.ID)
		}
	}
	declared, err := types.Lookup(typ)
	if err != nil {
		return errors.Join(append(errs, fault("inbound.entity.type", "there is no type %q", typ))...)
	}
	if e := t.Entity; e != nil {
		if f := declared.Field(e.Key); f == nil || !f.Unique || f.Kind != graph.KindString {
			errs = append(errs, fault("inbound.entity.key", "%q is no unique text field of %s", e.Key, typ))
		}
	}
	if len(sources) > maxExpressions {
		errs = append(errs, fault("inbound", "holds %d expressions, at most %d go", len(sources), maxExpressions))
		return errors.Join(errs...)
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		t.fields[name] = program(prefix+name, sources[name])
	}
	return errors.Join(errs...)
}

// Verify implements connectors.Receiver.
func (c *Connector) Verify(l *connectors.Link, r *headlessly.Receipt) error {
	t := c.taker(l)
	if t == nil {
		return connectors.ErrNoSecret
	}
	return t.judge(t.secret, r, l.Clock())
}

// Read implements connectors.Receiver.
func (c *Connector) Read(_ context.Context, l *connectors.Link, r *headlessly.Receipt) (connectors.Delivery, error) {
	t := c.taker(l)
	if t == nil {
		return connectors.Delivery{}, &headlessly.Permanent{Err: errors.New("the integration takes nothing any more")}
	}
	return t.read(r)
}

// read maps a request.
func (t *taker) read(r *headlessly.Receipt) (connectors.Delivery, error) {
	d := connectors.Delivery{ID: t.identity(r)}
	e := env{Headers: map[string]string{}, Query: r.Query}
	if err := json.Unmarshal(r.Body, &e.Body); err != nil {
		e.Body = string(r.Body)
	}
	for name, value := range lines(r.Headers) {
		e.Headers[name] = value
	}
	if t.when != nil {
		ok, err := run(t.when, e)
		if err != nil {
			return d, fault("inbound.when", "%v", err)
		}
		if ok != true {
			return d, nil
		}
	}
	at := headlessly.Time(r.ReceivedAt)
	change := connectors.Change{Type: "Event", Key: "messageId", ID: d.ID, At: at, Fresh: true, Fields: map[string]any{}}
	for name, p := range t.fields {
		v, err := run(p, e)
		if err != nil {
			return d, fault("inbound."+name, "%v", err)
		}
		if v != nil {
			change.Fields[name] = v
		}
	}
	if t.Entity != nil {
		id, err := run(t.id, e)
		if err != nil {
			return d, fault("inbound.entity.id", "%v", err)
		}
		change.Type, change.Key = t.Entity.Type, t.Entity.Key
		if change.ID = fmt.Sprint(id); id == nil || change.ID == "" {
			return d, fault("inbound.entity.id", "gives nothing for this request")
		}
		d.Changes = []connectors.Change{change}
		return d, nil
	}
	t.event(change.Fields, e.Body, at)
	d.Changes = []connectors.Change{change}
	return d, nil
}

// event fills in what the mapping of an Event leaves out.
func (t *taker) event(fields map[string]any, body any, at time.Time) {
	object, _ := body.(map[string]any)
	if fields["type"] == nil {
		fields["type"] = "webhook"
		for _, name := range []string{"type", "event", "event_type"} {
			if s, ok := object[name].(string); ok && s != "" {
				fields["type"] = s
				break
			}
		}
	}
	if fields["name"] == nil {
		fields["name"] = fields["type"]
	}
	if len(t.fields) == 0 {
		fields["data"] = body
	}
	if fields["timestamp"] == nil {
		fields["timestamp"] = graph.FormatTime(at.UnixMicro())
	}
	if fields["source"] == nil {
		fields["source"] = "API"
	}
}

// identity tells requests apart.
func (t *taker) identity(r *headlessly.Receipt) string {
	id := ""
	switch {
	case t.IDHeader != "":
		id = r.Header(t.IDHeader)
	case t.Verify == verifyStandard:
		id = r.Header(signature.HeaderID)
	}
	if id == "" || len(id) > 200 {
		sum := sha256.Sum256(r.Body)
		id = "sha256:" + hex.EncodeToString(sum[:16])
		if t.IDHeader == "" { // the same body may well come twice and mean two things
			id += fmt.Sprintf(":%d", r.ReceivedAt)
		}
	}
	return id
}

// run evaluates an expression within bounds.
func run(p *vm.Program, e env) (any, error) {
	machine := vm.VM{MemoryBudget: maxMemory}
	return machine.Run(p, e)
}
