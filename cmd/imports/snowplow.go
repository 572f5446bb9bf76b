package imports

import (
	"strings"
)

// snowplowColumns are the columns of an enriched event, in order.
func snowplowColumns() []string {
	return strings.Fields(`app_id platform etl_tstamp collector_tstamp dvce_created_tstamp event event_id txn_id name_tracker v_tracker v_collector v_etl
user_id user_ipaddress user_fingerprint domain_userid domain_sessionidx network_userid
geo_country geo_region geo_city geo_zipcode geo_latitude geo_longitude geo_region_name ip_isp ip_organization ip_domain ip_netspeed
page_url page_title page_referrer page_urlscheme page_urlhost page_urlport page_urlpath page_urlquery page_urlfragment
refr_urlscheme refr_urlhost refr_urlport refr_urlpath refr_urlquery refr_urlfragment refr_medium refr_source refr_term
mkt_medium mkt_source mkt_term mkt_content mkt_campaign contexts se_category se_action se_label se_property se_value unstruct_event
tr_orderid tr_affiliation tr_total tr_tax tr_shipping tr_city tr_state tr_country ti_orderid ti_sku ti_name ti_category ti_price ti_quantity
pp_xoffset_min pp_xoffset_max pp_yoffset_min pp_yoffset_max
useragent br_name br_family br_version br_type br_renderengine br_lang br_features_pdf br_features_flash br_features_java br_features_director
br_features_quicktime br_features_realplayer br_features_windowsmedia br_features_gears br_features_silverlight br_cookies br_colordepth
br_viewwidth br_viewheight os_name os_family os_manufacturer os_timezone dvce_type dvce_ismobile dvce_screenwidth dvce_screenheight
doc_charset doc_width doc_height tr_currency tr_total_base tr_tax_base tr_shipping_base ti_currency ti_price_base base_currency
geo_timezone mkt_clickid mkt_network etl_tags dvce_sent_tstamp refr_domain_userid refr_dvce_tstamp derived_contexts domain_sessionid
derived_tstamp event_vendor event_name event_format event_version event_fingerprint true_tstamp`)
}

// snowplowPlaces are the columns that have a place in an event of ours.
func snowplowPlaces() map[string][]string {
	return map[string][]string{
		"event_id": {"messageId"}, "user_id": {"userId"}, "domain_sessionid": {"sessionId"},
		"page_url": {"url"}, "page_title": {"title"}, "page_referrer": {"referrer"}, "useragent": {"userAgent"},
		"user_ipaddress": {"context", "ip"}, "br_lang": {"context", "locale"}, "os_timezone": {"context", "timezone"},
		"geo_country": {"context", "location", "country"}, "geo_region_name": {"context", "location", "region"}, "geo_city": {"context", "location", "city"},
		"mkt_source": {"context", "campaign", "source"}, "mkt_medium": {"context", "campaign", "medium"}, "mkt_campaign": {"context", "campaign", "name"},
		"mkt_term": {"context", "campaign", "term"}, "mkt_content": {"context", "campaign", "content"},
		"name_tracker": {"context", "library", "name"}, "v_tracker": {"context", "library", "version"},
	}
}

// snowplowDerived are the columns that follow from others.
func snowplowDerived() []string {
	return strings.Fields(`page_urlscheme page_urlhost page_urlport page_urlpath page_urlquery page_urlfragment refr_urlscheme refr_urlhost refr_urlport refr_urlpath
refr_urlquery refr_urlfragment br_viewwidth br_viewheight dvce_screenwidth dvce_screenheight derived_tstamp event domain_userid
br_name br_family br_version br_type br_renderengine os_name os_family os_manufacturer dvce_type dvce_ismobile unstruct_event contexts derived_contexts
se_category se_action se_label se_property se_value tr_orderid tr_total tr_tax tr_shipping tr_currency ti_orderid ti_sku ti_name ti_category ti_price ti_quantity ti_currency`)
}

// snowplow is an enriched event. What has no column of ours stays below
// context.snowplow.
func snowplow(f map[string]any) (Event, *Fault) {
	e := Event{}
	for column, path := range snowplowPlaces() {
		put(e, f[column], path...)
	}
	put(e, first(f["true_tstamp"], f["derived_tstamp"], f["dvce_created_tstamp"], f["collector_tstamp"]), "ts")
	put(e, first(f["domain_userid"], f["network_userid"]), "anonymousId")
	put(e, whole(f["br_viewwidth"]), "context", "viewport", "width")
	put(e, whole(f["br_viewheight"]), "context", "viewport", "height")
	put(e, whole(f["dvce_screenwidth"]), "context", "screen", "width")
	put(e, whole(f["dvce_screenheight"]), "context", "screen", "height")
	if fault := snowplowKind(e, f); fault != nil {
		return nil, fault
	}
	for _, column := range []string{"contexts", "derived_contexts"} {
		if v := inner(f[column]); v != nil {
			put(e, v["data"], "context", "snowplow", column)
		}
	}
	places := snowplowPlaces()
	for _, column := range snowplowDerived() {
		delete(f, column)
	}
	for column, v := range f {
		if _, ok := places[column]; !ok {
			put(e, v, "context", "snowplow", column)
		}
	}
	return e, nil
}

// snowplowKind tells what an event is, and its properties.
func snowplowKind(e Event, f map[string]any) *Fault {
	props := map[string]any{}
	take := func(columns map[string]string) {
		for name, column := range columns {
			if v := word(f[column]); v != "" {
				props[name] = guess(v)
			}
		}
	}
	switch kind := word(f["event"]); kind {
	case "page_view", "screen_view":
		e["type"] = strings.TrimSuffix(kind, "_view")
	case "page_ping":
		e["type"], e["event"] = "ping", "page_ping"
	case "struct":
		e["type"], e["event"] = "track", word(f["se_action"])
		take(map[string]string{"category": "se_category", "label": "se_label", "property": "se_property", "value": "se_value"})
	case "transaction":
		e["type"], e["event"] = "track", "Order Completed"
		take(map[string]string{"order_id": "tr_orderid", "revenue": "tr_total", "tax": "tr_tax", "shipping": "tr_shipping", "currency": "tr_currency"})
	case "transaction_item":
		e["type"], e["event"] = "track", "Order Item"
		take(map[string]string{"order_id": "ti_orderid", "sku": "ti_sku", "name": "ti_name", "category": "ti_category", "price": "ti_price", "quantity": "ti_quantity", "currency": "ti_currency"})
	case "unstruct":
		return snowplowSelfDescribing(e, f)
	case "":
		return faultf("missing", "event", "is missing: an enriched event says what it is")
	default:
		e["type"], e["event"] = "track", kind
	}
	if len(props) > 0 {
		e["properties"] = props
	}
	return nil
}

// snowplowSelfDescribing reads the event that stands in a JSON of its own.
func snowplowSelfDescribing(e Event, f map[string]any) *Fault {
	outer := inner(f["unstruct_event"])
	body := inner(outer["data"])
	if body == nil {
		return faultf("invalid_json", "unstruct_event", "holds no self-describing event")
	}
	data := inner(body["data"])
	name := word(f["event_name"])
	if name == "" { // iglu:vendor/name/format/version
		if parts := strings.Split(word(body["schema"]), "/"); len(parts) > 1 {
			name = parts[1]
		}
	}
	if name == "" {
		return faultf("missing", "event_name", "is missing, and the event's schema names none")
	}
	e["type"], e["event"] = "track", name
	if name == "application_error" {
		e["type"] = "error"
		put(e, first(word(data["exceptionName"]), "Error"), "exception", "type")
		put(e, word(data["message"]), "exception", "value")
	}
	if len(data) > 0 {
		e["properties"] = data
	}
	return nil
}
