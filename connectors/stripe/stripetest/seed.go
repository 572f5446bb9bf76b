package stripetest

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// Seed fills the account as if it had been there for long: a product with two
// monthly prices, and customers with a subscription, a paid invoice and its
// payment each. It makes no events. It returns how many objects there are now
// that a sync brings.
func (s *Server) Seed(customers int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.hooks.queue
	prod := s.add("products", Object{"name": "Pro", "active": true, "images": []any{}, "marketing_features": []any{}, "metadata": Object{"slug": "pro"}})
	var prices []Object
	for _, amount := range []int64{2900, 9900} {
		prices = append(prices, s.add("prices", Object{
			"active": amount == 2900, "billing_scheme": "per_unit", "type": "recurring", "recurring": Object{"interval": "month", "interval_count": int64(1), "usage_type": "licensed"},
			"unit_amount": amount, "unit_amount_decimal": fmt.Sprint(amount), "currency": "eur", "product": prod["id"], "metadata": Object{},
		}))
	}
	for i := range customers {
		cus := s.newCustomer(Object{"name": fmt.Sprintf("Customer %d", i), "email": fmt.Sprintf("c%d@example.com", i), "invoice_settings": Object{"default_payment_method": "pm_card"}})
		_, err := s.newSubscription(Object{"customer": cus["id"], "items": Object{"0": Object{"price": prices[i%2]["id"]}}})
		if err != nil {
			panic(err) // the stand-in's own objects
		}
	}
	for _, id := range s.lists["events"] {
		delete(s.objects, id)
	}
	s.lists["events"], s.hooks.queue = nil, queue
	n := 0
	for _, kind := range []string{"customers", "products", "prices", "subscriptions", "invoices", "payment_intents", "invoice_payments"} {
		n += len(s.lists[kind])
	}
	return n
}

// Act does at Stripe what a person does in its dashboard: method and path as of
// the API, parameters as "name=value" joined with &.
func (s *Server) Act(method, path, form string) Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := url.ParseQuery(form)
	if err != nil {
		panic(err) // a test's constant
	}
	out, err := s.route(method, strings.Split(strings.Trim(path, "/"), "/"), q)
	if err != nil {
		panic("stripetest: " + method + " " + path + ": " + err.Error())
	}
	if parts := strings.Split(strings.Trim(path, "/"), "/"); method == http.MethodPost && len(parts) == 2 {
		s.Acted[parts[1]]++
	}
	o, _ := out.(Object)
	return o
}

// Counted gives how many objects of each kind were made by calls and by Act.
func (s *Server) Counted() (out map[string]int) {
	s.Do(func(s *Server) { out = maps.Clone(s.Created) })
	return out
}
