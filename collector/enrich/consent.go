package enrich

import "github.com/headlessly/headlessly"

// DenyByGPC records a Global Privacy Control signal: it is a refusal of sale
// and sharing, so the event is kept for the tenant and forwarded to nobody. A
// consent that the visitor gave on the site itself is the more specific wish
// and stands.
func DenyByGPC(e *headlessly.Event) {
	if e.Consent == "" {
		e.Consent = "denied"
	}
}
