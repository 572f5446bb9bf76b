package stripe

import (
	"context"
	"encoding/json"
	"net/url"
)

// shortened says whether a subscription shows a part of its items only: Stripe
// puts the first ten into it.
func shortened(raw []byte) bool {
	var s struct {
		Items struct {
			HasMore bool `json:"has_more"`
		} `json:"items"`
	}
	return json.Unmarshal(raw, &s) == nil && s.Items.HasMore
}

// whole gives a subscription with all of its items.
func (c *client) whole(ctx context.Context, raw json.RawMessage) (json.RawMessage, error) {
	if !shortened(raw) {
		return raw, nil
	}
	var fields map[string]json.RawMessage
	var items listing
	if err := decode(raw, &fields); err != nil {
		return nil, err
	}
	if err := decode(fields["items"], &items); err != nil {
		return nil, err
	}
	for items.HasMore && len(items.Data) > 0 {
		q := url.Values{"subscription": {idOf(raw)}, "limit": {pageSize}, "expand[]": {"data.discounts.source.coupon"}, "starting_after": {idOf(items.Data[len(items.Data)-1])}}
		var page listing
		if _, err := c.get(ctx, "/v1/subscription_items", q, &page); err != nil {
			return nil, err
		}
		items.Data, items.HasMore = append(items.Data, page.Data...), page.HasMore && len(page.Data) > 0
	}
	list, err := json.Marshal(items)
	if err != nil {
		return nil, err
	}
	fields["items"] = list
	return json.Marshal(fields)
}
