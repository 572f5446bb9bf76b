package stripe

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
)

func (p *pusher) subscription(ctx context.Context) (time.Time, error) {
	switch p.d.Verb {
	case graph.VerbCreate:
		return p.subscribe(ctx)
	case graph.VerbDelete:
		return time.Time{}, refused("status", "Stripe keeps subscriptions; cancel it instead")
	case graph.VerbUpdate:
		return p.changeSubscription(ctx)
	}
	id, err := p.objectID(keySubscription)
	if err != nil {
		return time.Time{}, err
	}
	path := "/v1/subscriptions/" + url.PathEscape(id)
	switch p.d.Verb {
	case "cancel":
		return p.cancel(ctx, path)
	case "pause":
		return p.pause(ctx, path)
	case "reactivate":
		return p.reactivate(ctx, path)
	case "activate":
		return p.activate(ctx, path)
	case "renew":
		return p.send(ctx, path, url.Values{"billing_cycle_anchor": {"now"}, "proration_behavior": {p.proration("none")}})
	default: // upgrade, downgrade
		form := url.Values{}
		if err := p.otherPrice(ctx, form); err != nil {
			return time.Time{}, err
		}
		if len(form) == 0 {
			return time.Time{}, refused("plan", "%s needs what to change: plan, price or quantity", p.d.Verb)
		}
		form.Set("proration_behavior", p.proration("create_prorations"))
		return p.send(ctx, path, form)
	}
}

// proration reads the argument of that name: true, false, or Stripe's words.
func (p *pusher) proration(otherwise string) string {
	v, ok := p.arg("proration")
	if !ok {
		return otherwise
	}
	switch v {
	case true:
		return "create_prorations"
	case false:
		return "none"
	}
	return str(v)
}

// subscribe makes a subscription: plan becomes a price, contact a customer.
func (p *pusher) subscribe(ctx context.Context) (time.Time, error) {
	customer, method, err := p.subscriber(ctx)
	if err != nil {
		return time.Time{}, err
	}
	price, err := p.priceOf(ctx)
	if err != nil {
		return time.Time{}, err
	}
	form := url.Values{"customer": {customer}, "items[0][price]": {price}}
	p.put(form, "quantity", "items[0][quantity]")
	p.put(form, "cancelAtPeriodEnd", "cancel_at_period_end")
	p.put(form, "collectionMethod", "collection_method")
	if days, ok := p.arg("trialDays"); ok {
		form.Set("trial_period_days", asParam(days))
	}
	if v, ok := p.changed["trialEnd"]; ok {
		t, err := when("trialEnd", v)
		if err != nil {
			return time.Time{}, err
		}
		form.Set("trial_end", t)
	}
	if coupon := p.textArg("coupon"); coupon != "" {
		form.Set("discounts[0][coupon]", coupon)
	}
	if days, ok := p.arg("daysUntilDue"); ok {
		form.Set("days_until_due", asParam(days))
	}
	if m := p.textArg("paymentMethod"); m != "" {
		method = m
		form.Set("default_payment_method", m)
	}
	behavior := p.textArg("paymentBehavior")
	if behavior == "" && method == "" && form.Get("collection_method") != "send_invoice" {
		behavior = "default_incomplete" // nothing to charge yet: the subscription waits for its first payment
	}
	if behavior != "" {
		form.Set("payment_behavior", behavior)
	}
	if plan := str(p.d.Fields["plan"]); plan != "" {
		form.Set("metadata["+metaPlan+"]", plan)
	}
	if contact := str(p.d.Fields["contact"]); contact != "" {
		form.Set("metadata["+metaContact+"]", contact)
	}
	p.metadata(form)
	return p.send(ctx, "/v1/subscriptions", form)
}

func (p *pusher) changeSubscription(ctx context.Context) (time.Time, error) {
	form := url.Values{}
	p.put(form, "cancelAtPeriodEnd", "cancel_at_period_end")
	p.put(form, "collectionMethod", "collection_method")
	if v, ok := p.changed["trialEnd"]; ok {
		t, err := when("trialEnd", v)
		if err != nil {
			return time.Time{}, err
		}
		form.Set("trial_end", t)
	}
	if v, ok := p.changed["status"]; ok {
		return time.Time{}, refused("status", "becomes %v by a verb: cancel, pause, reactivate or activate", v)
	}
	if v, ok := p.changed["contact"]; ok {
		form.Set("metadata["+metaContact+"]", str(v))
	}
	if err := p.otherPrice(ctx, form); err != nil {
		return time.Time{}, err
	}
	if _, has := form["items[0][id]"]; has {
		form.Set("proration_behavior", p.proration("create_prorations"))
	}
	p.metadata(form)
	return p.update(ctx, "/v1/subscriptions/", keySubscription, form)
}

// otherPrice changes the first item's price and quantity.
func (p *pusher) otherPrice(ctx context.Context, form url.Values) error {
	_, plan := p.changed["plan"]
	_, price := p.changed["price"]
	_, quantity := p.changed["quantity"]
	if !plan && !price && !quantity {
		return nil
	}
	items, _ := p.d.Current.Fields()["items"].([]any)
	if len(items) == 0 {
		return refused("items", "the subscription's items are not known yet; sync first")
	}
	first, _ := items[0].(map[string]any)
	form.Set("items[0][id]", str(first["id"]))
	if plan || price {
		if plan && !price {
			delete(p.d.Fields, "price") // the plan names another
		}
		id, err := p.priceOf(ctx)
		if err != nil {
			return err
		}
		form.Set("items[0][price]", id)
	}
	p.put(form, "quantity", "items[0][quantity]")
	if plan {
		form.Set("metadata["+metaPlan+"]", str(p.d.Fields["plan"]))
	} else if price {
		form.Set("metadata["+metaPlan+"]", "")
	}
	return nil
}

// cancel ends a subscription, now or with atPeriodEnd at the end of what is
// paid; until then it is not cancelled.
func (p *pusher) cancel(ctx context.Context, path string) (time.Time, error) {
	form := url.Values{}
	if feedback := str(p.d.Args["cancelFeedback"]); feedback != "" {
		form.Set("cancellation_details[feedback]", feedback)
	}
	if comment := p.textArg("comment"); comment != "" {
		form.Set("cancellation_details[comment]", comment)
	}
	if p.boolArg("atPeriodEnd") {
		form.Set("cancel_at_period_end", "true")
		p.d.Event = "Updated"
		return p.send(ctx, path, form)
	}
	if v, ok := p.arg("prorate"); ok {
		form.Set("prorate", asParam(v))
	}
	if v, ok := p.arg("invoiceNow"); ok {
		form.Set("invoice_now", asParam(v))
	}
	return p.answer(ctx, http.MethodDelete, path, form)
}

// answer is send for a call that is no POST.
func (p *pusher) answer(ctx context.Context, method, path string, form url.Values) (time.Time, error) {
	_, _, read := reader(p.d.Type)
	var raw rawObject
	at, err := p.call(ctx, method, path, form, p.key(), &raw)
	if gone(err) { // an earlier try did it, or somebody else
		ch, err := p.c.fetch(ctx, p.client, p.d.Type, keySubscription, p.d.Current.Text(keySubscription))
		if err != nil || ch.Gone {
			return at, errors.Join(err, refused("status", "Stripe has no such subscription any more"))
		}
		return ch.At, p.take(ctx, ch)
	}
	if err != nil {
		return at, err
	}
	ch, err := read(raw)
	if err != nil {
		return at, err
	}
	return at, p.take(ctx, ch)
}

// rawObject is an object as it came.
type rawObject []byte

// UnmarshalJSON implements json.Unmarshaler.
func (r *rawObject) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}

func (p *pusher) pause(ctx context.Context, path string) (time.Time, error) {
	behavior := p.textArg("behavior")
	if behavior == "" {
		behavior = "void"
	}
	form := url.Values{"pause_collection[behavior]": {behavior}}
	pausedAt := p.d.Fields["pausedAt"]
	if v, ok := p.changed["resumesAt"]; ok {
		t, err := when("resumesAt", v)
		if err != nil {
			return time.Time{}, err
		}
		form.Set("pause_collection[resumes_at]", t)
	}
	at, err := p.send(ctx, path, form)
	if err == nil && p.d.Fields["pausedAt"] == nil {
		p.d.Fields["pausedAt"] = pausedAt
	}
	return at, err
}

// reactivate takes back a pause, or a cancellation that has not come yet.
func (p *pusher) reactivate(ctx context.Context, path string) (time.Time, error) {
	now := p.d.Current
	ends, _ := now.Fields()["cancelAtPeriodEnd"].(bool)
	var live struct {
		Status string `json:"status"`
	}
	switch {
	case now.Text("status") == "Cancelled":
		return time.Time{}, refused("status", "a cancelled subscription does not come back at Stripe; create another")
	case now.Text("status") == "Paused":
		if _, err := p.get(ctx, path, nil, &live); err != nil {
			return time.Time{}, err
		}
		if live.Status == "paused" { // a trial that ended without a payment method
			return p.send(ctx, path+"/resume", url.Values{"billing_cycle_anchor": {"now"}})
		}
		return p.send(ctx, path, url.Values{"pause_collection": {""}})
	case ends:
		return p.send(ctx, path, url.Values{"cancel_at_period_end": {"false"}})
	}
	return time.Time{}, refused("status", "it is %s: neither paused nor about to end", now.Text("status"))
}

// activate ends a trial now, or pays the invoice that a subscription waits for.
func (p *pusher) activate(ctx context.Context, path string) (time.Time, error) {
	switch status := p.d.Current.Text("status"); status {
	case "Trialing":
		return p.send(ctx, path, url.Values{"trial_end": {"now"}})
	case "Incomplete", "PastDue", "Unpaid":
		var s struct {
			Latest rawObject `json:"latest_invoice"`
		}
		if _, err := p.get(ctx, path, nil, &s); err != nil {
			return time.Time{}, err
		}
		id := idOf([]byte(s.Latest))
		if id == "" {
			return time.Time{}, refused("status", "it has no invoice to pay")
		}
		if _, err := p.post(ctx, "/v1/invoices/"+url.PathEscape(id)+"/pay", url.Values{}, p.key(), nil); err != nil {
			return time.Time{}, err
		}
		ch, err := p.c.fetch(ctx, p.client, typeSubscription, keySubscription, p.d.Current.Text(keySubscription))
		if err != nil {
			return time.Time{}, err
		}
		return ch.At, p.take(ctx, ch)
	default:
		return time.Time{}, refused("status", "it is %s: activate is for Trialing, Incomplete, PastDue and Unpaid", status)
	}
}

// subscriber is the customer at Stripe of a new subscription, and its payment
// method: the one that customer names, the contact's, or a new one.
func (p *pusher) subscriber(ctx context.Context) (id, method string, err error) {
	if named := str(p.d.Fields["customer"]); named != "" {
		id, err := p.reference(ctx, "customer", typeCustomer, keyCustomer)
		if err != nil {
			return "", "", err
		}
		e, err := p.find(ctx, typeCustomer, keyCustomer, id)
		if err == nil && e != nil {
			method = e.Text("paymentMethod")
		}
		return id, method, err
	}
	contact := str(p.d.Fields["contact"])
	if contact == "" {
		return "", "", refused("contact", "name a contact, or a customer")
	}
	who, err := p.l.Graph.Get(ctx, "Contact", contact, graph.AsOf{})
	if graph.CodeOf(err) == graph.CodeNotFound {
		return "", "", refused("contact", "there is no Contact %s", contact)
	}
	if err != nil {
		return "", "", err
	}
	for _, by := range []map[string]any{{"contact": contact}, {"email": who.Text("email")}} {
		if v, ok := by["email"]; ok && v == "" {
			continue
		}
		page, err := p.l.Graph.Find(ctx, graph.Query{Type: typeCustomer, Filter: by, Limit: graph.MaxLimit, Sort: []string{"$createdAt"}, NoTotal: true})
		if err != nil {
			return "", "", err
		}
		for _, e := range page.Results {
			if e.Text(keyCustomer) != "" && e.Text("integration") == p.l.ID {
				return e.Text(keyCustomer), e.Text("paymentMethod"), nil
			}
		}
	}
	return p.newSubscriber(ctx, contact, who)
}

// newSubscriber makes a contact a customer, at Stripe and here.
func (p *pusher) newSubscriber(ctx context.Context, contact string, who *graph.Entity) (id, method string, err error) {
	form := url.Values{"name": {who.Text("name")}, "metadata[" + metaContact + "]": {contact}, "metadata[" + metaEvent + "]": {p.d.EventID}}
	if email := who.Text("email"); email != "" {
		form.Set("email", email)
	}
	var raw rawObject
	at, err := p.post(ctx, "/v1/customers", form, p.key(), &raw)
	if err != nil {
		return "", "", err
	}
	ch, err := customer(raw)
	if err != nil {
		return "", "", err
	}
	args := ch.Fields
	args[keyCustomer], args["integration"], args["syncedAt"] = ch.ID, p.l.ID, graph.FormatTime(at.UnixMicro())
	for k, v := range args {
		if v == nil {
			delete(args, k)
		}
	}
	if _, err := p.l.Graph.Create(ctx, typeCustomer, args); err != nil && graph.CodeOf(err) != graph.CodeConflict {
		return "", "", err // a conflict means that the webhook was faster
	}
	return ch.ID, "", nil
}

// priceOf resolves price, or plan, to a price at Stripe.
func (p *pusher) priceOf(ctx context.Context) (string, error) {
	if id, err := p.reference(ctx, "price", typePrice, keyPrice); id != "" || err != nil {
		return id, err
	}
	plan := str(p.d.Fields["plan"])
	if plan == "" {
		return "", refused("plan", "name a plan, or a price")
	}
	for _, find := range []func(context.Context, string) ([]*graph.Entity, error){p.pricesOfPlan, p.pricesByKey, p.pricesOfProduct} {
		found, err := find(ctx, plan)
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return p.choose(plan, found)
		}
	}
	return "", refused("plan", "no active recurring price answers to %q: it is the slug of a Plan or Product, a product's name, or a price's lookup key or nickname", plan)
}

// prices finds the active recurring prices that a filter fits.
func (p *pusher) prices(ctx context.Context, filter map[string]any) ([]*graph.Entity, error) {
	filter["active"], filter["integration"] = true, p.l.ID
	filter["interval"] = map[string]any{"$nin": []any{"OneTime"}}
	page, err := p.l.Graph.Find(ctx, graph.Query{Type: typePrice, Filter: filter, Limit: graph.MaxLimit, Sort: []string{"$createdAt"}, NoTotal: true})
	if err != nil {
		return nil, err
	}
	return page.Results, nil
}

func (p *pusher) pricesOfPlan(ctx context.Context, plan string) ([]*graph.Entity, error) {
	e, err := p.find(ctx, "Plan", "slug", plan)
	if err != nil || e == nil {
		return nil, err
	}
	found, err := p.prices(ctx, map[string]any{"plan": e.ID})
	if err == nil && len(found) == 0 && e.Text("product") != "" {
		found, err = p.prices(ctx, map[string]any{"product": e.Text("product")})
	}
	return found, err
}

func (p *pusher) pricesByKey(ctx context.Context, plan string) ([]*graph.Entity, error) {
	for _, field := range []string{keyPrice, "lookupKey", "nickname"} {
		if found, err := p.prices(ctx, map[string]any{field: plan}); err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, nil
}

func (p *pusher) pricesOfProduct(ctx context.Context, plan string) ([]*graph.Entity, error) {
	e, err := p.find(ctx, typeProduct, "slug", plan)
	if err == nil && e == nil {
		e, err = p.find(ctx, typeProduct, keyProduct, plan)
	}
	if err != nil {
		return nil, err
	}
	q := graph.Query{Type: typeProduct, Filter: map[string]any{"integration": p.l.ID, "status": "Active"}, Limit: graph.MaxLimit, NoTotal: true}
	for more := e == nil; more && e == nil; {
		page, err := p.l.Graph.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, each := range page.Results {
			if slugged(each.Text("name")) == slugged(plan) {
				e = each
				break
			}
		}
		more, q.Cursor = page.HasMore, page.Cursor
	}
	if e == nil {
		return nil, nil
	}
	return p.prices(ctx, map[string]any{"product": e.ID})
}

// slugged is a name as a slug.
func slugged(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }), "-")
}

// choose takes the only price, or the only monthly one.
func (p *pusher) choose(plan string, found []*graph.Entity) (string, error) {
	var monthly []*graph.Entity
	var names []string
	for _, e := range found {
		names = append(names, e.ID+" ("+e.Text("currency")+" "+e.Number("amount").String()+" "+e.Text("interval")+")")
		if n, err := strconv.Atoi(e.Number("intervalCount").String()); e.Text("interval") == "Monthly" && (err != nil || n == 1) {
			monthly = append(monthly, e)
		}
	}
	switch {
	case len(found) == 1:
		return found[0].Text(keyPrice), nil
	case len(monthly) == 1:
		return monthly[0].Text(keyPrice), nil
	}
	return "", refused("plan", "%q has several prices; name one as price: %s", plan, strings.Join(names, ", "))
}
