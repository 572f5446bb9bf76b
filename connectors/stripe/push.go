package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

// pusher carries one draft.
type pusher struct {
	*client
	c *Connector
	d *graph.Draft
	// changed are the fields that the draft changes; all of a new entity.
	changed map[string]any
	calls   int
}

// Push implements connectors.Pusher.
func (c *Connector) Push(ctx context.Context, l *connectors.Link, d *graph.Draft) (time.Time, error) {
	p := &pusher{client: newAPI(l), c: c, d: d, changed: maps.Clone(d.Fields)}
	if d.Current != nil {
		before := d.Current.Fields()
		maps.DeleteFunc(p.changed, func(f string, v any) bool { return same(before[f], v) })
		for f := range before {
			if _, has := d.Fields[f]; !has {
				p.changed[f] = nil
			}
		}
	}
	switch d.Type {
	case typeCustomer:
		return p.customer(ctx)
	case typeProduct:
		return p.product(ctx)
	case typePrice:
		return p.price(ctx)
	case typeSubscription:
		return p.subscription(ctx)
	case typeInvoice:
		return p.invoice(ctx)
	default:
		return p.payment(ctx)
	}
}

func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// key makes the idempotency key of the draft's next call: the same when the
// mutation is tried again.
func (p *pusher) key() string {
	p.calls++
	return fmt.Sprintf("headlessly-%s-%d", p.d.EventID, p.calls)
}

// once posts a call of the draft. A mutation that is tried again may find the
// entity changed, and so say something else under the same key; for what can be
// said twice the version makes another one.
func (p *pusher) once(ctx context.Context, path string, form url.Values, out any) (time.Time, error) {
	key := p.key()
	at, err := p.post(ctx, path, form, key, out)
	if errors.Is(err, errKeyUsed) && p.d.Verb != graph.VerbCreate && p.d.Verb != "refund" {
		return p.post(ctx, path, form, fmt.Sprintf("%s-v%d", key, p.d.Current.Version), out)
	}
	return at, err
}

// send posts the draft's call and takes over what Stripe answers.
func (p *pusher) send(ctx context.Context, path string, form url.Values) (time.Time, error) {
	_, expand, read := reader(p.d.Type)
	for _, e := range expand {
		form.Add("expand[]", e)
	}
	if p.d.Current == nil {
		form.Set("metadata["+metaEvent+"]", p.d.EventID)
	}
	var raw json.RawMessage
	at, err := p.once(ctx, path, form, &raw)
	if err != nil {
		return at, err
	}
	ch, err := read(raw)
	if err != nil {
		return at, err
	}
	return at, p.take(ctx, ch)
}

// take puts an object's state into the draft. References to objects that have
// no entity yet follow with the next sync.
func (p *pusher) take(ctx context.Context, ch connectors.Change) error {
	f := ch.Fields
	if ch.Fit != nil && p.d.Current != nil {
		ch.Fit(p.d.Current.Fields(), f)
	}
	f[ch.Key] = ch.ID
	for field, r := range ch.Refs {
		e, err := p.find(ctx, r.Type, r.Key, r.ID)
		if err != nil {
			return err
		}
		if e != nil {
			f[field] = e.ID
		} else if id, err := p.l.Store.DerivedID(r.Type, p.l.ID, r.Key, r.ID); err == nil {
			f[field] = id
		}
	}
	for k, v := range f {
		if v == nil {
			delete(p.d.Fields, k)
		} else {
			p.d.Fields[k] = v
		}
	}
	return nil
}

// find looks an entity up by a unique field, nil when there is none.
func (p *pusher) find(ctx context.Context, typ, key, value string) (*graph.Entity, error) {
	if value == "" {
		return nil, nil //nolint:nilnil // none is no fault
	}
	page, err := p.l.Graph.Find(ctx, graph.Query{Type: typ, Filter: map[string]any{key: value}, Limit: 1, NoTotal: true})
	if err != nil || len(page.Results) == 0 {
		return nil, err
	}
	return page.Results[0], nil
}

// objectID is the draft's object at Stripe.
func (p *pusher) objectID(key string) (string, error) {
	id := p.d.Current.Text(key)
	if id == "" {
		return "", refused(key, "the entity has no object at Stripe")
	}
	return id, nil
}

func refused(field, format string, args ...any) error {
	return &connectors.RefusedError{Field: field, Message: fmt.Sprintf(format, args...), Status: 422}
}

// arg takes an argument that is no field of the entity out of the draft.
func (p *pusher) arg(name string) (any, bool) {
	v, ok := p.d.Args[name]
	if ok {
		if before := p.d.Current; before != nil && before.Fields()[name] != nil {
			p.d.Fields[name] = before.Fields()[name]
		} else {
			delete(p.d.Fields, name)
		}
		delete(p.changed, name)
	}
	return v, ok && v != nil
}

func (p *pusher) textArg(name string) string {
	v, _ := p.arg(name)
	return str(v)
}

func (p *pusher) boolArg(name string) bool {
	v, _ := p.arg(name)
	b, _ := v.(bool)
	return b
}

// put sets a parameter from a field that changes; a field that is removed
// clears it.
func (p *pusher) put(form url.Values, field, param string) {
	if v, ok := p.changed[field]; ok {
		form.Set(param, asParam(v))
	}
}

func asParam(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		return strconv.FormatBool(v)
	case string:
		return v
	}
	return fmt.Sprint(v)
}

// metadata carries the field "metadata", an object of texts.
func (p *pusher) metadata(form url.Values) {
	m, _ := p.changed["metadata"].(map[string]any)
	for k, v := range m {
		form.Set("metadata["+k+"]", asParam(v))
	}
}

// when reads a time for Stripe.
func when(field string, v any) (string, error) {
	s := str(v)
	if s == "" || s == "now" {
		return s, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return strconv.FormatInt(t.Unix(), 10), nil
		}
	}
	return "", refused(field, "must be a time such as 2025-09-15T14:32:00Z")
}

func (p *pusher) customer(ctx context.Context) (time.Time, error) {
	form := url.Values{}
	for field, param := range map[string]string{
		"name": "name", "phone": "phone", "description": "description", "taxExempt": "tax_exempt", "paymentMethod": "invoice_settings[default_payment_method]",
	} {
		p.put(form, field, param)
	}
	if email, ok := p.changed["email"].(string); ok && !strings.HasSuffix(email, "@stripe.invalid") {
		form.Set("email", email)
	}
	if contact, ok := p.changed["contact"]; ok {
		form.Set("metadata["+metaContact+"]", str(contact))
	}
	p.metadata(form)
	switch p.d.Verb {
	case graph.VerbCreate:
		if method := form.Get("invoice_settings[default_payment_method]"); method != "" {
			form.Set("payment_method", method) // it is attached with the customer
		}
		return p.send(ctx, "/v1/customers", form)
	case graph.VerbDelete:
		return p.delete(ctx, "/v1/customers/", keyCustomer)
	}
	return p.update(ctx, "/v1/customers/", keyCustomer, form)
}

// update sends what changes, if anything does that Stripe knows.
func (p *pusher) update(ctx context.Context, path, key string, form url.Values) (time.Time, error) {
	if len(form) == 0 {
		return time.Time{}, nil
	}
	id, err := p.objectID(key)
	if err != nil {
		return time.Time{}, err
	}
	return p.send(ctx, path+url.PathEscape(id), form)
}

// delete deletes the object; that it is gone already is well.
func (p *pusher) delete(ctx context.Context, path, key string) (time.Time, error) {
	id, err := p.objectID(key)
	if err != nil {
		return time.Time{}, err
	}
	at, err := p.call(ctx, http.MethodDelete, path+url.PathEscape(id), nil, "", nil)
	if gone(err) {
		return p.l.Clock(), nil
	}
	return at, err
}

func (p *pusher) product(ctx context.Context) (time.Time, error) {
	form := url.Values{}
	p.put(form, "name", "name")
	p.put(form, "description", "description")
	if v, ok := p.changed["image"]; ok {
		form.Set("images[0]", asParam(v))
	}
	if v, ok := p.changed["slug"]; ok {
		form.Set("metadata["+metaSlug+"]", asParam(v))
	}
	if list, ok := p.changed["features"].([]any); ok {
		for i, f := range list {
			form.Set(fmt.Sprintf("marketing_features[%d][name]", i), asParam(f))
		}
	}
	if v, ok := p.changed["status"]; ok {
		form.Set("active", strconv.FormatBool(v == "Active" || v == nil))
	}
	p.metadata(form)
	switch p.d.Verb {
	case graph.VerbCreate:
		return p.send(ctx, "/v1/products", form)
	case graph.VerbDelete:
		return p.delete(ctx, "/v1/products/", keyProduct)
	}
	return p.update(ctx, "/v1/products/", keyProduct, form)
}

// recurring are Stripe's interval and count of an entity's.
func recurring(interval string, count any) (string, string, error) {
	n, ok := rat(count)
	if !ok {
		n.SetInt64(1)
	}
	if !n.IsInt() || n.Sign() <= 0 {
		return "", "", refused("intervalCount", "must be 1 or more")
	}
	times := n.Num().Int64()
	switch interval {
	case "Daily":
		return "day", strconv.FormatInt(times, 10), nil
	case "Weekly":
		return "week", strconv.FormatInt(times, 10), nil
	case "Monthly", "Usage":
		return "month", strconv.FormatInt(times, 10), nil
	case "Quarterly":
		return "month", strconv.FormatInt(3*times, 10), nil
	case "Yearly":
		return "year", strconv.FormatInt(times, 10), nil
	}
	return "", "", refused("interval", "must be Daily, Weekly, Monthly, Quarterly, Yearly, OneTime or Usage")
}

func (p *pusher) price(ctx context.Context) (time.Time, error) {
	form := url.Values{}
	switch p.d.Verb {
	case graph.VerbDelete:
		return time.Time{}, refused("active", "Stripe keeps prices; update it with active: false instead")
	case graph.VerbUpdate:
		for _, f := range []string{"amount", "currency", "interval", "intervalCount", "product"} {
			if _, ok := p.changed[f]; ok {
				return time.Time{}, refused(f, "never changes at Stripe; create another price and archive this one (active: false)")
			}
		}
		p.put(form, "active", "active")
		p.put(form, "nickname", "nickname")
		p.put(form, "lookupKey", "lookup_key")
		p.metadata(form)
		return p.update(ctx, "/v1/prices/", keyPrice, form)
	}
	p.put(form, "amount", "unit_amount")
	p.put(form, "active", "active")
	p.put(form, "nickname", "nickname")
	p.put(form, "lookupKey", "lookup_key")
	if form.Set("currency", strings.ToLower(str(p.d.Fields["currency"]))); form.Get("currency") == "" {
		return time.Time{}, refused("currency", "is required by Stripe, such as EUR")
	}
	if interval := str(p.d.Fields["interval"]); interval != "" && interval != "OneTime" {
		unit, count, err := recurring(interval, p.d.Fields["intervalCount"])
		if err != nil {
			return time.Time{}, err
		}
		form.Set("recurring[interval]", unit)
		form.Set("recurring[interval_count]", count)
	}
	product, err := p.reference(ctx, "product", typeProduct, keyProduct)
	if err != nil {
		return time.Time{}, err
	}
	if product == "" {
		return time.Time{}, refused("product", "is required by Stripe: the id of a Product")
	}
	form.Set("product", product)
	p.metadata(form)
	return p.send(ctx, "/v1/prices", form)
}

// reference gives the id at Stripe of the entity that a field refers to; "" when
// the field is empty.
func (p *pusher) reference(ctx context.Context, field, typ, key string) (string, error) {
	id := str(p.d.Fields[field])
	if id == "" {
		return "", nil
	}
	if !strings.HasPrefix(id, strings.ToLower(typ)+"_") {
		return id, nil // Stripe's own id
	}
	e, err := p.l.Graph.Get(ctx, typ, id, graph.AsOf{})
	if graph.CodeOf(err) == graph.CodeNotFound {
		return "", refused(field, "there is no %s %s", typ, id)
	}
	if err != nil {
		return "", err
	}
	if e.Text(key) == "" {
		return "", refused(field, "%s has no object at Stripe; create it while Stripe is connected", id)
	}
	return e.Text(key), nil
}

func (p *pusher) invoice(ctx context.Context) (time.Time, error) {
	switch p.d.Verb {
	case graph.VerbCreate:
		return p.newInvoice(ctx)
	case graph.VerbDelete:
		return p.delete(ctx, "/v1/invoices/", keyInvoice)
	case graph.VerbUpdate:
		form := url.Values{}
		p.put(form, "description", "description")
		if v, ok := p.changed["dueAt"]; ok {
			t, err := when("dueAt", v)
			if err != nil {
				return time.Time{}, err
			}
			form.Set("due_date", t)
		}
		p.metadata(form)
		return p.update(ctx, "/v1/invoices/", keyInvoice, form)
	}
	id, err := p.objectID(keyInvoice)
	if err != nil {
		return time.Time{}, err
	}
	form := url.Values{}
	if p.d.Verb == "pay" {
		if p.boolArg("outOfBand") {
			form.Set("paid_out_of_band", "true")
		}
		if m := p.textArg("paymentMethod"); m != "" {
			form.Set("payment_method", m)
		}
	}
	return p.send(ctx, "/v1/invoices/"+url.PathEscape(id)+"/"+p.d.Verb, form)
}

// newInvoice makes a draft, and its items from lineItems.
func (p *pusher) newInvoice(ctx context.Context) (time.Time, error) {
	customer, err := p.reference(ctx, "customer", typeCustomer, keyCustomer)
	if err != nil {
		return time.Time{}, err
	}
	if customer == "" {
		return time.Time{}, refused("customer", "is required by Stripe: the id of a Customer")
	}
	form := url.Values{"customer": {customer}, "auto_advance": {strconv.FormatBool(p.boolArg("autoAdvance"))}}
	if c := str(p.d.Fields["currency"]); c != "" {
		form.Set("currency", strings.ToLower(c))
	}
	p.put(form, "description", "description")
	if m := p.textArg("collectionMethod"); m != "" {
		form.Set("collection_method", m)
	}
	if v, ok := p.changed["dueAt"]; ok {
		t, err := when("dueAt", v)
		if err != nil {
			return time.Time{}, err
		}
		form.Set("due_date", t)
		form.Set("collection_method", "send_invoice")
	}
	p.metadata(form)
	items, _ := p.d.Fields["lineItems"].([]any)
	at, err := p.send(ctx, "/v1/invoices", form)
	if err != nil || len(items) == 0 {
		return at, err
	}
	id := str(p.d.Fields[keyInvoice])
	for i, it := range items {
		m, _ := it.(map[string]any)
		item := url.Values{"customer": {customer}, "invoice": {id}}
		for k, param := range map[string]string{"amount": "amount", "quantity": "quantity", "description": "description", "price": "pricing[price]"} {
			if v, ok := m[k]; ok && v != nil && (k != "quantity" || m["price"] != nil) {
				item.Set(param, asParam(v))
			}
		}
		if item.Get("amount") != "" {
			item.Set("currency", strings.ToLower(str(p.d.Fields["currency"])))
		}
		if _, err := p.post(ctx, "/v1/invoiceitems", item, p.key(), nil); err != nil {
			// Nothing half-made: the draft goes again, and its items with it.
			_, _ = p.call(ctx, http.MethodDelete, "/v1/invoices/"+url.PathEscape(id), nil, "", nil)
			return at, fieldAt(err, fmt.Sprintf("lineItems[%d]", i))
		}
	}
	ch, err := p.c.fetch(ctx, p.client, typeInvoice, keyInvoice, id)
	if err != nil {
		return at, err
	}
	return ch.At, p.take(ctx, ch)
}

// fieldAt names the field of a refusal.
func fieldAt(err error, field string) error {
	if r, ok := err.(*connectors.RefusedError); ok { //nolint:errorlint // as post gives it
		return &connectors.RefusedError{Field: field, Message: r.Message, Status: r.Status}
	}
	return err
}

func (p *pusher) payment(ctx context.Context) (time.Time, error) {
	switch p.d.Verb {
	case graph.VerbDelete:
		return time.Time{}, refused("status", "Stripe keeps payments; refund it instead")
	case graph.VerbUpdate:
		form := url.Values{}
		p.put(form, "description", "description")
		p.put(form, "amount", "amount")
		p.metadata(form)
		return p.update(ctx, "/v1/payment_intents/", keyPayment, form)
	case graph.VerbCreate:
		return p.newPayment(ctx)
	}
	id, err := p.objectID(keyPayment)
	if err != nil {
		return time.Time{}, err
	}
	amount, partial := p.arg("amount")
	if p.d.Verb == "capture" {
		form := url.Values{}
		if partial {
			form.Set("amount_to_capture", asParam(amount))
		}
		return p.send(ctx, "/v1/payment_intents/"+url.PathEscape(id)+"/capture", form)
	}
	form := url.Values{"payment_intent": {id}}
	if partial {
		form.Set("amount", asParam(amount))
	}
	if reason := p.textArg("reason"); reason != "" {
		form.Set("reason", reason)
	}
	if _, err := p.post(ctx, "/v1/refunds", form, p.key(), nil); err != nil {
		return time.Time{}, err
	}
	ch, err := p.c.fetch(ctx, p.client, typePayment, keyPayment, id)
	if err != nil {
		return time.Time{}, err
	}
	return ch.At, p.take(ctx, ch)
}

func (p *pusher) newPayment(ctx context.Context) (time.Time, error) {
	form := url.Values{}
	p.put(form, "amount", "amount")
	p.put(form, "description", "description")
	if form.Set("currency", strings.ToLower(str(p.d.Fields["currency"]))); form.Get("currency") == "" {
		return time.Time{}, refused("currency", "is required by Stripe, such as EUR")
	}
	customer, err := p.reference(ctx, "customer", typeCustomer, keyCustomer)
	if err != nil {
		return time.Time{}, err
	}
	if customer != "" {
		form.Set("customer", customer)
	}
	if m := p.textArg("captureMethod"); m != "" {
		form.Set("capture_method", m)
	}
	if m := p.textArg("paymentMethod"); m != "" {
		form.Set("payment_method", m)
		if p.boolArg("confirm") {
			form.Set("confirm", "true")
			form.Set("automatic_payment_methods[enabled]", "true")
			form.Set("automatic_payment_methods[allow_redirects]", "never")
		}
	}
	p.metadata(form)
	return p.send(ctx, "/v1/payment_intents", form)
}
