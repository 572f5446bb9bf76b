package ga4

import (
	"strings"

	"github.com/headlessly/headlessly"
)

// Google's limits of a collected event.
const (
	maxName      = 40
	maxParams    = 25
	maxValue     = 100
	maxTitle     = 300
	maxReferrer  = 420
	maxLocation  = 1000
	maxUserProps = 25
	maxUserName  = 24
	maxUserValue = 36
	maxItems     = 200
	maxItemExtra = 10
	maxEvents    = 25
	maxRequest   = 130_000
)

// reserved gives the name that an event goes by at the Measurement Protocol
// where Google keeps its own name for itself, "" for not sent at all.
func reserved(name string) (string, bool) {
	switch name {
	case "session_start", "first_visit", "first_open":
		return "", true // Google makes these itself
	case "user_engagement":
		return "page_leave", true
	case "click":
		return "element_click", true
	case "form_submit":
		return "form_submitted", true
	case "form_start":
		return "form_started", true
	case "file_download":
		return "file_downloaded", true
	case "error":
		return "exception", true
	case "scroll":
		return "page_scroll", true
	case "video_start", "video_progress":
		return "custom_" + name, true
	case "ad_impression", "app_remove", "app_store_refund", "app_store_subscription_cancel",
		"app_store_subscription_renew", "in_app_purchase", "view_complete", "view_search_results":
		return "custom_" + name, true
	}
	return name, false
}

// commerce gives Google's name for an event of Segment's e-commerce spec.
func commerce(name string) (string, bool) {
	switch strings.ToLower(strings.ReplaceAll(name, "_", " ")) {
	case "product viewed":
		return "view_item", true
	case "product list viewed", "product list filtered":
		return "view_item_list", true
	case "product clicked":
		return "select_item", true
	case "product added":
		return "add_to_cart", true
	case "product removed":
		return "remove_from_cart", true
	case "product added to wishlist":
		return "add_to_wishlist", true
	case "cart viewed":
		return "view_cart", true
	case "checkout started":
		return "begin_checkout", true
	case "shipping info entered":
		return "add_shipping_info", true
	case "payment info entered":
		return "add_payment_info", true
	case "order completed":
		return "purchase", true
	case "order refunded":
		return "refund", true
	case "promotion viewed":
		return "view_promotion", true
	case "promotion clicked":
		return "select_promotion", true
	case "products searched":
		return "search", true
	case "product shared", "cart shared":
		return "share", true
	case "signed up":
		return "sign_up", true
	case "signed in":
		return "login", true
	case "lead generated":
		return "generate_lead", true
	}
	return name, false
}

// clean makes a name of letters, digits and underscores that begins with a
// letter and is at most n long; "" when nothing is left.
func clean(name string, n int) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			b.WriteRune(r)
		default:
			if s := b.String(); s != "" && s[len(s)-1] != '_' {
				b.WriteByte('_')
			}
		}
		if b.Len() >= 2*n {
			break
		}
	}
	s := strings.TrimRight(b.String(), "_")
	if s == "" {
		return ""
	}
	if s[0] >= '0' && s[0] <= '9' {
		s = "n" + s
	}
	if len(s) > n {
		s = strings.TrimRight(s[:n], "_")
	}
	return s
}

// param makes a parameter's name, kept off Google's prefixes.
func param(name string) string {
	s := clean(name, maxName)
	for _, prefix := range []string{"firebase_", "ga_", "google_"} {
		if strings.HasPrefix(s, prefix) {
			return clean("x_"+s, maxName)
		}
	}
	return s
}

// userProperty makes a user property's name.
func userProperty(name string) string {
	s := clean(name, maxUserName)
	for _, prefix := range []string{"firebase_", "ga_", "google_"} {
		if strings.HasPrefix(s, prefix) {
			return clean("x_"+s, maxUserName)
		}
	}
	switch s {
	case "first_open_time", "first_visit_time", "last_deep_link_referrer", "user_id", "first_open_after_install":
		return clean("x_"+s, maxUserName)
	}
	return s
}

// name is the event's name in the browser's protocol; the Measurement Protocol
// passes it through reserved as well.
func name(e *headlessly.Event) string {
	switch e.Type {
	case headlessly.TypePage:
		return "page_view"
	case headlessly.TypePageLeft:
		return "user_engagement"
	case headlessly.TypeScreen:
		return "screen_view"
	case headlessly.TypeSession:
		return "user_engagement" // marked as a session's first hit
	case headlessly.TypeIdentify:
		return "identify"
	case headlessly.TypeGroup:
		return "join_group"
	case headlessly.TypeError, headlessly.TypeMessage:
		return "exception"
	case headlessly.TypeVital:
		return fallback(eventName(e.VitalName), "web_vital")
	case headlessly.TypeClick:
		return "click"
	case headlessly.TypeForm:
		return fallback(eventName(e.Event), "form_submit")
	}
	given := e.Event
	if given == "" {
		given = e.Type
	}
	if google, ok := commerce(given); ok {
		return google
	}
	return fallback(eventName(given), "event")
}

// eventName makes an event's name, kept off Google's prefixes.
func eventName(name string) string {
	n := clean(name, maxName)
	for _, prefix := range []string{"firebase_", "ga_", "google_", "gtag_"} {
		if strings.HasPrefix(n, prefix) {
			return clean("x_"+n, maxName)
		}
	}
	return n
}

func fallback(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}
