package stripetest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

func str(v any) string {
	s, _ := v.(string)
	return s
}

func num(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case int:
		return int64(v)
	case string:
		n, _ := strconv.ParseInt(v, 10, 64) // 0 for what is no number
		return n
	}
	return 0
}

func list(v any) []any {
	m, ok := v.(Object)
	if !ok {
		l, _ := v.([]any)
		return l
	}
	var out []any
	for i := 0; m[strconv.Itoa(i)] != nil; i++ {
		out = append(out, m[strconv.Itoa(i)])
	}
	return out
}

func object(v any) Object {
	o, _ := v.(Object)
	return o
}

// merge lays parameters over an object; an empty text clears a value.
func merge(o, p Object, names ...string) {
	for _, n := range names {
		v, ok := p[n]
		if !ok {
			continue
		}
		if v == "" {
			o[n] = nil
		} else {
			o[n] = v
		}
	}
	if m, ok := p["metadata"].(Object); ok {
		all := maps.Clone(object(o["metadata"]))
		if all == nil {
			all = Object{}
		}
		for k, v := range m {
			if v == "" {
				delete(all, k)
			} else {
				all[k] = v
			}
		}
		o["metadata"] = all
	}
	if o["metadata"] == nil {
		o["metadata"] = Object{}
	}
}

func (s *Server) create(kind string, p Object) (Object, error) {
	switch kind {
	case "customers":
		return s.newCustomer(p), nil
	case "products":
		o := Object{"active": p["active"] != "false", "images": list(p["images"]), "marketing_features": list(p["marketing_features"]), "type": "service"}
		merge(o, p, "name", "description")
		if str(o["name"]) == "" {
			return nil, invalid("name", "Missing required param: name.")
		}
		s.add(kind, o)
		s.emit("product.created", o)
		return o, nil
	case "prices":
		return s.newPrice(p)
	case "subscriptions":
		return s.newSubscription(p)
	case "invoices":
		return s.newInvoice(p)
	case "invoiceitems":
		return s.newInvoiceItem(p)
	case "payment_intents":
		return s.newPaymentIntent(p)
	case "refunds":
		return s.refund(p)
	case "coupons":
		o := Object{"percent_off": nil, "amount_off": nil, "duration": "forever", "valid": true}
		merge(o, p, "duration", "currency")
		if v := str(p["percent_off"]); v != "" {
			f, err := strconv.ParseFloat(v, 64)
			if err != nil {
				return nil, invalid("percent_off", "Invalid decimal")
			}
			o["percent_off"] = f
		}
		if v := str(p["amount_off"]); v != "" {
			o["amount_off"] = num(v)
		}
		if id := str(p["id"]); id != "" {
			o["id"] = id
		}
		return s.add(kind, o), nil
	case "webhook_endpoints":
		if !strings.HasPrefix(str(p["url"]), "http") {
			return nil, invalid("url", "Invalid URL")
		}
		o := s.add(kind, Object{"url": p["url"], "enabled_events": p["enabled_events"], "status": "enabled", "api_version": p["api_version"], "connect": p["connect"]})
		o["secret"] = fmt.Sprintf("whsec_%08d_standin", o["seq"])
		return o, nil
	}
	return nil, &fault{status: 404, typ: "invalid_request_error", message: "Unrecognized request URL: " + kind}
}

func (s *Server) newCustomer(p Object) Object {
	o := Object{"tax_exempt": "none", "invoice_settings": Object{"default_payment_method": nil}, "discount": nil}
	merge(o, p, "name", "email", "phone", "description", "tax_exempt")
	if m := str(object(p["invoice_settings"])["default_payment_method"]); m != "" {
		o["invoice_settings"] = Object{"default_payment_method": m}
	}
	s.add("customers", o)
	s.emit("customer.created", o)
	return o
}

func (s *Server) newPrice(p Object) (Object, error) {
	if s.objects[str(p["product"])] == nil {
		return nil, missing("product", str(p["product"]), "product")
	}
	o := Object{"active": p["active"] != "false", "billing_scheme": "per_unit", "type": "one_time", "recurring": nil, "unit_amount": num(p["unit_amount"]), "unit_amount_decimal": str(p["unit_amount"])}
	merge(o, p, "currency", "product", "nickname", "lookup_key")
	if r := object(p["recurring"]); r != nil {
		usage := str(r["usage_type"])
		if usage == "" {
			usage = "licensed"
		}
		o["type"], o["recurring"] = "recurring", Object{"interval": r["interval"], "interval_count": max(1, num(r["interval_count"])), "usage_type": usage}
	}
	s.add("prices", o)
	s.emit("price.created", o)
	return o, nil
}

func (s *Server) act(kind, action string, o, p Object) error {
	switch kind {
	case "customers", "products":
		return s.actPlain(kind, action, o, p)
	case "prices":
		for _, f := range []string{"unit_amount", "currency", "recurring", "product"} {
			if _, ok := p[f]; ok {
				return invalid(f, "Received unknown parameter: %s", f)
			}
		}
		if p["active"] != nil {
			o["active"] = p["active"] == "true"
		}
		merge(o, p, "nickname", "lookup_key")
		s.emit("price.updated", o)
		return nil
	case "subscriptions":
		return s.actSubscription(action, o, p)
	case "invoices":
		return s.actInvoice(action, o, p)
	case "payment_intents":
		return s.actPaymentIntent(action, o, p)
	case "webhook_endpoints":
		if action == "delete" {
			o["deleted"] = true
		} else if e := p["enabled_events"]; e != nil {
			o["enabled_events"] = e
		}
		return nil
	}
	return &fault{status: 404, typ: "invalid_request_error", message: "Unrecognized request URL"}
}

func (s *Server) actPlain(kind, action string, o, p Object) error {
	name := kinds()[kind][1]
	if action == "delete" {
		if kind == "products" && slices.ContainsFunc(s.lists["prices"], func(id string) bool { return s.objects[id]["product"] == o["id"] }) {
			return invalid("id", "This product cannot be deleted because it has one or more user-created prices.")
		}
		o["deleted"] = true
		s.emit(name+".deleted", o)
		return nil
	}
	if m, ok := object(p["invoice_settings"])["default_payment_method"]; ok {
		o["invoice_settings"] = Object{"default_payment_method": m}
		if m == "" {
			o["invoice_settings"] = Object{"default_payment_method": nil}
		}
	}
	if p["active"] != nil {
		o["active"] = p["active"] == "true"
	}
	if p["images"] != nil {
		o["images"] = list(p["images"])
	}
	merge(o, p, "name", "email", "phone", "description", "tax_exempt")
	s.emit(name+".updated", o)
	return nil
}
