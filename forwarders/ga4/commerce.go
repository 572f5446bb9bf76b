package ga4

import (
	"strings"

	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// commerce adds the parameters and items of a shop's event, in Google's words,
// and gives the properties that it used, joined by spaces.
func (h *hit) commerce(e *headlessly.Event, props payload.Props) (used string) {
	if props.Len() == 0 {
		return ""
	}
	list := props.Get("products")
	if list == nil {
		list = props.Get("items")
	}
	products := list.GetArray()
	if _, shop := commerce(e.Event); !shop && len(products) == 0 && !google(h.name) {
		return ""
	}
	var done []string
	move := func(to string, from ...string) {
		for _, key := range from {
			if v := props.Get(key); payload.Flat(v) {
				h.params = append(h.params, field{to, scalar(v, maxValue)})
				done = append(done, key)
				return
			}
		}
	}
	move("transaction_id", "order_id", "orderId", "transaction_id")
	if props.Get("currency") == nil {
		h.text("currency", e.Currency, 3)
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
	if len(products) == 0 && (props.Get("product_id") != nil || props.Get("sku") != nil) {
		// The event is about one product, whose fields are its own.
		if it := product(props, done); len(it) > 0 {
			h.items = []item{it}
		}
		props.Each(func(key string, _ *fastjson.Value) { done = append(done, key) })
		return strings.Join(done, " ")
	}
	for _, v := range products {
		if len(h.items) == maxItems {
			break
		}
		if v.Type() != fastjson.TypeObject {
			continue
		}
		if it := product(payload.Of(v), nil); len(it) > 0 {
			h.items = append(h.items, it)
		}
	}
	return strings.Join(done, " ")
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

// itemField gives Google's name for a product's field, "" for one that Google
// does not know.
func itemField(key string) string {
	switch key {
	case "item_id", "product_id", "productId", "sku", "id":
		return "item_id"
	case "item_name", "name":
		return "item_name"
	case "item_brand", "brand":
		return "item_brand"
	case "item_category", "category":
		return "item_category"
	case "item_variant", "variant":
		return "item_variant"
	case "index", "position":
		return "index"
	case "item_list_id", "list_id":
		return "item_list_id"
	case "item_list_name", "list_name":
		return "item_list_name"
	case "price", "quantity", "coupon", "discount", "affiliation", "item_category2", "item_category3", "item_category4",
		"item_category5", "location_id", "creative_name", "creative_slot", "promotion_id", "promotion_name":
		return key
	}
	return ""
}

// product maps one product; fields that Google does not know are kept, ten at
// most. Keys that the event itself used are left out.
func product(m payload.Props, used []string) item {
	var it item
	more := 0
	m.Each(func(key string, v *fastjson.Value) {
		if !payload.Flat(v) {
			return
		}
		for _, u := range used {
			if u == key {
				return
			}
		}
		n := itemField(key)
		if n == "" {
			if n = param(key); n == "" || own(key) || more == maxItemExtra {
				return
			}
			more++
		}
		for i := range it {
			if it[i].name == n {
				return
			}
		}
		it = append(it, field{n, scalar(v, maxValue)})
	})
	return it.named()
}

// named gives nothing for an item that Google would drop: it needs an id or a
// name.
func (it item) named() item {
	for _, f := range it {
		if f.name == "item_id" || f.name == "item_name" {
			return it
		}
	}
	return nil
}
