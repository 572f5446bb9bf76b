package stripetest

import (
	"fmt"
	"maps"
)

// Month is how long a period lasts here, in seconds.
const Month = 30 * 24 * 3600

func (s *Server) item(p Object) (Object, error) {
	pr := s.objects[str(p["price"])]
	if pr == nil || pr["object"] != "price" {
		return nil, missing("price", str(p["price"]), "items[0][price]")
	}
	if pr["recurring"] == nil {
		return nil, invalid("items[0][price]", "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.")
	}
	q := num(p["quantity"])
	if p["quantity"] == nil {
		q = 1
	}
	s.seq++
	shown := maps.Clone(pr)
	delete(shown, "seq")
	delete(shown, "tiers")
	now := s.clock().Unix()
	return Object{"id": fmt.Sprintf("si_%08d", s.seq), "object": "subscription_item", "price": shown, "quantity": q, "discounts": []any{}, "current_period_start": now, "current_period_end": now + Month}, nil
}

func (s *Server) newSubscription(p Object) (Object, error) {
	cus := s.objects[str(p["customer"])]
	if cus == nil || cus["deleted"] == true {
		return nil, missing("customer", str(p["customer"]), "customer")
	}
	var items []any
	for _, it := range list(p["items"]) {
		o, err := s.item(object(it))
		if err != nil {
			return nil, err
		}
		items = append(items, o)
	}
	if len(items) == 0 {
		return nil, invalid("items", "Missing required param: items.")
	}
	now := s.clock().Unix()
	method := str(object(cus["invoice_settings"])["default_payment_method"]) + str(p["default_payment_method"])
	status := "active"
	o := Object{
		"customer": cus["id"], "items": Object{"object": "list", "data": items, "has_more": false}, "start_date": now, "currency": object(object(items[0])["price"])["currency"],
		"cancel_at_period_end": p["cancel_at_period_end"] == "true", "collection_method": "charge_automatically", "discounts": []any{}, "pause_collection": nil,
		"canceled_at": nil, "ended_at": nil, "trial_start": nil, "trial_end": nil, "cancellation_details": Object{"reason": nil, "feedback": nil},
	}
	merge(o, p, "collection_method")
	switch {
	case num(p["trial_period_days"]) > 0:
		status, o["trial_start"], o["trial_end"] = "trialing", now, now+num(p["trial_period_days"])*24*3600
	case num(p["trial_end"]) > now:
		status, o["trial_start"], o["trial_end"] = "trialing", now, num(p["trial_end"])
	case o["collection_method"] == "send_invoice":
	case p["payment_behavior"] == "default_incomplete":
		status = "incomplete"
	case method == "":
		return nil, &fault{status: 400, typ: "invalid_request_error", code: "resource_missing", message: "This customer has no attached payment source or default payment method. Please consider adding a default payment method."}
	}
	for _, d := range list(p["discounts"]) {
		coupon := str(object(d)["coupon"])
		if s.objects[coupon] == nil {
			return nil, missing("coupon", coupon, "discounts[0][coupon]")
		}
		di := s.add("discounts", Object{"source": Object{"type": "coupon", "coupon": coupon}, "start": now, "end": nil})
		o["discounts"] = append(list(o["discounts"]), di["id"])
	}
	o["status"] = status
	s.add("subscriptions", o)
	s.emit("customer.subscription.created", o)
	if status != "trialing" {
		in := s.bill(o)
		o["latest_invoice"] = in["id"]
		if status == "active" && method != "" {
			s.payInvoice(in)
		}
	}
	return o, nil
}

// bill makes the open invoice of a subscription's period.
func (s *Server) bill(sub Object) Object {
	var total int64
	var lines []any
	for _, it := range list(object(sub["items"])["data"]) {
		price := object(object(it)["price"])
		amount := num(price["unit_amount"]) * num(object(it)["quantity"])
		total += amount
		lines = append(lines, Object{"id": "il_" + str(object(it)["id"]), "amount": amount, "quantity": object(it)["quantity"], "description": "a month"})
	}
	now := s.clock().Unix()
	in := s.add("invoices", Object{
		"customer": sub["customer"], "parent": Object{"type": "subscription_details", "subscription_details": Object{"subscription": sub["id"]}},
		"status": "open", "subtotal": total, "total": total, "amount_due": total, "amount_paid": int64(0), "currency": sub["currency"], "total_taxes": []any{}, "total_discount_amounts": []any{},
		"period_start": now, "period_end": now + Month, "status_transitions": Object{"finalized_at": now, "paid_at": nil, "voided_at": nil}, "lines": Object{"object": "list", "data": lines, "has_more": false},
		"metadata": Object{}, "billing_reason": "subscription_create",
	})
	in["number"] = fmt.Sprintf("STANDIN-%06d", in["seq"])
	s.emit("invoice.created", in)
	s.emit("invoice.finalized", in)
	return in
}

func (s *Server) payInvoice(in Object) {
	now := s.clock().Unix()
	in["status"], in["amount_paid"], in["amount_due"] = "paid", in["total"], int64(0)
	t := maps.Clone(object(in["status_transitions"]))
	t["paid_at"] = now
	in["status_transitions"] = t
	pi := s.add("payment_intents", Object{"amount": in["total"], "amount_received": in["total"], "currency": in["currency"], "customer": in["customer"], "status": "succeeded", "payment_method_types": []any{"card"}, "metadata": Object{}})
	ch := s.add("charges", Object{"amount": in["total"], "amount_refunded": int64(0), "refunded": false, "payment_intent": pi["id"], "payment_method_details": Object{"type": "card"}, "receipt_url": "https://pay.stripe.com/receipts/" + str(pi["id"])})
	pi["latest_charge"] = ch["id"]
	s.emit("payment_intent.succeeded", pi)
	ip := s.add("invoice_payments", Object{"invoice": in["id"], "payment": Object{"type": "payment_intent", "payment_intent": pi["id"]}, "status": "paid"})
	s.emit("invoice.paid", in)
	s.emit("invoice_payment.paid", ip)
}

func (s *Server) actSubscription(action string, o, p Object) error {
	now := s.clock().Unix()
	if o["status"] == "canceled" {
		return missing("subscription", str(o["id"]), "id")
	}
	switch action {
	case "delete":
		o["status"], o["canceled_at"], o["ended_at"] = "canceled", now, now
		o["cancellation_details"] = Object{"reason": "cancellation_requested", "feedback": object(p["cancellation_details"])["feedback"]}
		s.emit("customer.subscription.deleted", o)
		return nil
	case "resume":
		o["status"] = "active"
	case "update":
		if err := s.updateSubscription(o, p, now); err != nil {
			return err
		}
	default:
		return &fault{status: 404, typ: "invalid_request_error", message: "Unrecognized request URL"}
	}
	s.emit("customer.subscription.updated", o)
	return nil
}

func (s *Server) updateSubscription(o, p Object, now int64) error {
	if v, ok := p["cancel_at_period_end"]; ok {
		o["cancel_at_period_end"] = v == "true"
		o["canceled_at"] = nil
		if v == "true" {
			o["canceled_at"] = now
		}
	}
	if v, ok := p["pause_collection"]; ok {
		o["pause_collection"] = nil
		if m := object(v); m != nil {
			o["pause_collection"] = Object{"behavior": m["behavior"], "resumes_at": nil}
			if m["resumes_at"] != nil {
				o["pause_collection"] = Object{"behavior": m["behavior"], "resumes_at": num(m["resumes_at"])}
			}
		}
	}
	if v := p["trial_end"]; v == "now" && o["status"] == "trialing" {
		o["status"], o["trial_end"] = "active", now
	} else if v != nil && v != "now" {
		o["trial_end"] = num(v)
	}
	if p["billing_cycle_anchor"] == "now" {
		s.Renew(o, now)
	}
	items := list(object(o["items"])["data"])
	for _, each := range list(p["items"]) {
		m := object(each)
		for i, it := range items {
			if object(it)["id"] != m["id"] {
				continue
			}
			next := maps.Clone(object(it))
			if m["price"] != nil {
				changed, err := s.item(Object{"price": m["price"], "quantity": fmt.Sprint(num(next["quantity"]))})
				if err != nil {
					return err
				}
				next["price"] = changed["price"]
			}
			if m["quantity"] != nil {
				next["quantity"] = num(m["quantity"])
			}
			items = append(append(append([]any{}, items[:i]...), next), items[i+1:]...)
		}
	}
	o["items"] = Object{"object": "list", "data": items, "has_more": false}
	merge(o, p, "collection_method")
	return nil
}

// EndTrial ends a trial without a payment method: the subscription is paused.
func (s *Server) EndTrial(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[id]
	o["status"], o["trial_end"] = "paused", s.clock().Unix()
	s.emit("customer.subscription.paused", o)
}

// Renew moves a subscription's items to their next period; s is held.
func (s *Server) Renew(o Object, now int64) {
	var items []any
	for _, it := range list(object(o["items"])["data"]) {
		next := maps.Clone(object(it))
		next["current_period_start"], next["current_period_end"] = now, now+Month
		items = append(items, next)
	}
	o["items"] = Object{"object": "list", "data": items, "has_more": false}
}

func (s *Server) newInvoice(p Object) (Object, error) {
	if s.objects[str(p["customer"])] == nil {
		return nil, missing("customer", str(p["customer"]), "customer")
	}
	o := Object{
		"status": "draft", "subtotal": int64(0), "total": int64(0), "amount_due": int64(0), "amount_paid": int64(0), "total_taxes": []any{}, "total_discount_amounts": []any{}, "number": nil,
		"period_start": s.clock().Unix(), "period_end": s.clock().Unix(), "status_transitions": Object{"finalized_at": nil, "paid_at": nil, "voided_at": nil}, "lines": Object{"object": "list", "data": []any{}, "has_more": false}, "currency": "eur",
	}
	merge(o, p, "customer", "currency", "description")
	if v := num(p["due_date"]); v > 0 {
		o["due_date"] = v
	}
	s.add("invoices", o)
	s.emit("invoice.created", o)
	return o, nil
}

func (s *Server) newInvoiceItem(p Object) (Object, error) {
	in := s.objects[str(p["invoice"])]
	if in == nil || in["status"] != "draft" {
		return nil, invalid("invoice", "Invoice items can only be added to draft invoices.")
	}
	amount := num(p["amount"])
	if price := s.objects[str(object(p["pricing"])["price"])]; price != nil {
		amount = num(price["unit_amount"]) * max(1, num(p["quantity"]))
	}
	if amount == 0 {
		return nil, invalid("amount", "Missing required param: amount.")
	}
	o := s.add("invoiceitems", Object{"amount": amount, "description": p["description"]})
	data := append(list(object(in["lines"])["data"]), Object{"id": "il_" + str(o["id"]), "amount": amount, "description": p["description"], "quantity": int64(1)})
	total := num(in["total"]) + amount
	in["lines"], in["subtotal"], in["total"], in["amount_due"] = Object{"object": "list", "data": data, "has_more": false}, total, total, total
	s.emit("invoice.updated", in)
	return o, nil
}

func (s *Server) actInvoice(action string, o, p Object) error {
	now := s.clock().Unix()
	t := maps.Clone(object(o["status_transitions"]))
	switch {
	case action == "delete" && o["status"] == "draft":
		o["deleted"] = true
		s.emit("invoice.deleted", o)
		return nil
	case action == "finalize" && o["status"] == "draft":
		t["finalized_at"] = now
		o["status"], o["status_transitions"], o["number"] = "open", t, fmt.Sprintf("STANDIN-%06d", o["seq"])
		s.emit("invoice.finalized", o)
		return nil
	case action == "pay" && o["status"] == "open":
		s.payInvoice(o)
		if sub := s.objects[str(object(object(o["parent"])["subscription_details"])["subscription"])]; sub != nil && sub["status"] == "incomplete" {
			sub["status"] = "active"
			s.emit("customer.subscription.updated", sub)
		}
		return nil
	case action == "void" && o["status"] == "open":
		t["voided_at"] = now
		o["status"], o["status_transitions"] = "void", t
		s.emit("invoice.voided", o)
		return nil
	case action == "update":
		merge(o, p, "description")
		s.emit("invoice.updated", o)
		return nil
	}
	return invalid("status", "This invoice is %v; it cannot be changed by %s.", o["status"], action)
}

func (s *Server) newPaymentIntent(p Object) (Object, error) {
	amount := num(p["amount"])
	if amount < 50 {
		return nil, &fault{status: 400, typ: "invalid_request_error", code: "amount_too_small", message: "Amount must be at least 50", param: "amount"}
	}
	o := Object{"amount": amount, "amount_received": int64(0), "status": "requires_payment_method", "payment_method_types": []any{"card"}, "latest_charge": nil, "capture_method": "automatic"}
	merge(o, p, "currency", "customer", "description", "capture_method")
	s.add("payment_intents", o)
	s.emit("payment_intent.created", o)
	if p["confirm"] == "true" {
		o["status"] = "requires_capture"
		if o["capture_method"] != "manual" {
			s.charge(o)
		}
	}
	return o, nil
}

func (s *Server) charge(pi Object) {
	ch := s.add("charges", Object{"amount": pi["amount"], "amount_refunded": int64(0), "refunded": false, "payment_intent": pi["id"], "payment_method_details": Object{"type": "card"}})
	pi["status"], pi["amount_received"], pi["latest_charge"] = "succeeded", pi["amount"], ch["id"]
	s.emit("payment_intent.succeeded", pi)
}

func (s *Server) actPaymentIntent(action string, o, p Object) error {
	switch {
	case action == "capture" && o["status"] == "requires_capture":
		s.charge(o)
		return nil
	case action == "capture":
		return invalid("", "This PaymentIntent could not be captured because it has a status of %v.", o["status"])
	}
	merge(o, p, "description")
	if p["amount"] != nil {
		o["amount"] = num(p["amount"])
	}
	return nil
}

func (s *Server) refund(p Object) (Object, error) {
	pi := s.objects[str(p["payment_intent"])]
	if pi == nil {
		return nil, missing("payment_intent", str(p["payment_intent"]), "payment_intent")
	}
	ch := s.objects[str(pi["latest_charge"])]
	if ch == nil {
		return nil, invalid("payment_intent", "This PaymentIntent does not have a successful charge to refund.")
	}
	amount, left := num(p["amount"]), num(ch["amount"])-num(ch["amount_refunded"])
	if p["amount"] == nil {
		amount = left
	}
	if left == 0 || amount > left {
		return nil, &fault{status: 400, typ: "invalid_request_error", code: "charge_already_refunded", message: "Charge has already been refunded.", param: "amount"}
	}
	ch["amount_refunded"] = num(ch["amount_refunded"]) + amount
	ch["refunded"] = num(ch["amount_refunded"]) == num(ch["amount"])
	o := s.add("refunds", Object{"amount": amount, "payment_intent": pi["id"], "charge": ch["id"]})
	s.emit("charge.refunded", ch)
	return o, nil
}
