package ga4

import (
	"encoding/json"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// commerce adds the parameters and items of a shop's event, in Google's words.
func (h *hit) commerce(e *headlessly.Event, props map[string]json.RawMessage) {
	if len(props) == 0 {
		return
	}
	move := func(to string, from ...string) {
		for _, key := range from {
			if raw, ok := props[key]; ok && payload.IsScalar(raw) {
				h.params = append(h.params, field{to, scalar(raw, maxValue)})
				delete(props, key)
				return
			}
		}
	}
	list := props["products"]
	if list == nil {
		list = props["items"]
	}
	var raw []map[string]json.RawMessage
	if list != nil {
		_ = json.Unmarshal(list, &raw)
	}
	if _, shop := commerce(e.Event); !shop && len(raw) == 0 && !google(h.name) {
		return
	}
	move("transaction_id", "order_id", "orderId", "transaction_id")
	if _, ok := props["currency"]; !ok && e.Currency != "" {
		h.params = append(h.params, field{"currency", value{text: e.Currency}})
	}
	move("currency", "currency")
	if e.HasRevenue {
		h.params = append(h.params, field{"value", value{text: payload.Decimal(e.RevenueE4), number: true}})
	} else {
		move("value", "value", "total", "revenue")
	}
	move("tax", "tax")
	move("shipping", "shipping")
	move("coupon", "coupon")
	move("affiliation", "affiliation")
	move("search_term", "query", "search_term")
	move("item_list_id", "list_id")
	move("item_list_name", "list_name", "category_list")
	move("promotion_id", "promotion_id")
	move("promotion_name", "promotion_name")
	move("payment_type", "payment_method", "payment_type")
	move("shipping_tier", "shipping_method", "shipping_tier")
	move("method", "method")
	if len(raw) == 0 && (props["product_id"] != nil || props["sku"] != nil) {
		raw = append(raw, props) // the event is about one product
		h.items = items(raw)
		for _, key := range []string{"product_id", "sku", "name", "brand", "category", "variant", "price", "quantity", "position"} {
			delete(props, key)
		}
		return
	}
	h.items = items(raw)
}

// google says whether a name is one of Google's recommended shop events.
func google(name string) bool {
	switch name {
	case "add_payment_info", "add_shipping_info", "add_to_cart", "add_to_wishlist", "begin_checkout", "purchase", "refund",
		"remove_from_cart", "select_item", "select_promotion", "view_cart", "view_item", "view_item_list", "view_promotion":
		return true
	}
	return false
}

func items(raw []map[string]json.RawMessage) []item {
	var out []item
	for _, m := range raw {
		if len(out) == maxItems {
			break
		}
		if it := product(m); len(it) > 0 {
			out = append(out, it)
		}
	}
	return out
}

// product maps one product; fields that Google does not know are kept, ten at
// most.
func product(m map[string]json.RawMessage) item {
	var it item
	done := map[string]bool{}
	take := func(to string, from ...string) {
		for _, key := range from {
			done[key] = true
			if raw, ok := m[key]; ok && payload.IsScalar(raw) {
				it = append(it, field{to, scalar(raw, maxValue)})
				for _, rest := range from {
					done[rest] = true
				}
				return
			}
		}
	}
	take("item_id", "item_id", "product_id", "productId", "sku", "id")
	take("item_name", "item_name", "name")
	take("item_brand", "item_brand", "brand")
	take("item_category", "item_category", "category")
	take("item_variant", "item_variant", "variant")
	take("price", "price")
	take("quantity", "quantity")
	take("coupon", "coupon")
	take("discount", "discount")
	take("index", "index", "position")
	take("item_list_id", "item_list_id", "list_id")
	take("item_list_name", "item_list_name", "list_name")
	take("affiliation", "affiliation")
	more := 0
	for _, key := range keys(m) {
		n := param(key)
		if done[key] || n == "" || more == maxItemExtra || own(key) || !payload.IsScalar(m[key]) {
			continue
		}
		it = append(it, field{n, scalar(m[key], maxValue)})
		more++
	}
	return it
}
