// Package ga4 sends events to Google Analytics 4.
//
// [Kind] is the registry's entry. With an API secret it speaks the Measurement
// Protocol, which Google documents; without, /g/collect, the browser's own
// protocol, which Google does not document and may change. The second takes no
// timestamps: an event counts when it arrives.
//
// Google answers 2xx to everything and drops what is over a limit without a
// word, so names, numbers of parameters and lengths are brought within the
// limits here. It deduplicates nothing: an event whose answer was lost after
// the request had been written is reported as unknown and not sent again.
// Events older than 72 hours (24 hours over /g/collect) are refused with a
// reason, because Google would move them to another time.
//
//	page         page_view            track      by name; commerce by Google's names, with items
//	pageleave    page_leave¹          click      click, or element_click¹
//	screen       screen_view          form       form_submit, or form_submitted¹
//	session      session_start²       vital      by the metric's name
//	identify     identify, with user_properties
//	group        join_group           error      exception
//
// ¹ The Measurement Protocol reserves user_engagement, click and form_submit;
// /g/collect uses them. ² Only over /g/collect, as the mark of a session's first
// hit; the Measurement Protocol begins a session with its first event. Alias
// calls are not sent: Google has no such thing.
package ga4
