package stripetest

import (
	"maps"
	"net/url"
	"strconv"
)

// ItemsShown is how many items a subscription shows of itself; the others are
// in the list of items.
const ItemsShown = 10

// shortened copies an object as it is shown.
func shortened(o Object) Object {
	out := maps.Clone(o)
	items := object(o["items"])
	if all := list(items["data"]); o["object"] == "subscription" && len(all) > ItemsShown {
		items = maps.Clone(items)
		items["data"], items["has_more"] = all[:ItemsShown], true
		out["items"] = items
	}
	return out
}

// items answers a page of a subscription's items.
func (s *Server) items(form url.Values) (any, error) {
	sub := s.objects[form.Get("subscription")]
	if sub == nil {
		return nil, missing("subscription", form.Get("subscription"), "subscription")
	}
	all, from := list(object(sub["items"])["data"]), 0
	if after := form.Get("starting_after"); after != "" {
		from = -1
		for i, it := range all {
			if object(it)["id"] == after {
				from = i + 1
			}
		}
		if from < 0 {
			return nil, missing("subscription_item", after, "starting_after")
		}
	}
	limit, err := strconv.Atoi(form.Get("limit"))
	if err != nil {
		limit = ItemsShown
	}
	end := min(from+limit, len(all))
	return Object{"object": "list", "data": all[from:end], "has_more": end < len(all), "url": "/v1/subscription_items"}, nil
}
