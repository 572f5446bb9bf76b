package forwarders

import (
	"strings"

	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/rules"
)

// Reasons for which an event is not sent to a destination.
const (
	SkipConsent     = "consent"     // the visitor said no, or did not say yes
	SkipBot         = "bot"         // the user agent is a robot's
	SkipUnmapped    = "unmapped"    // the destination takes no such events
	SkipIntegration = "integration" // the sender switched the destination off
	SkipRule        = rules.Rule    // a rule of the tenant dropped it
	SkipSample      = rules.Sample  // outside the tenant's sample
)

// Allowed says whether an event's consent state lets it go to a destination
// that the given categories govern.
//
// "" means that nobody was asked, and the event goes. "granted" and "denied"
// are what they say. In a list such as "analytics:granted,marketing:denied"
// the first category of the destination that is mentioned decides; a list that
// mentions none of them is a no.
func Allowed(consent string, categories []string) bool {
	switch consent {
	case "", "granted":
		return true
	case "denied":
		return false
	}
	for _, want := range categories {
		if state, ok := ConsentFor(consent, want); ok {
			return state == "granted"
		}
	}
	return false
}

// ConsentFor gives what a consent state says of one category.
func ConsentFor(consent, category string) (state string, ok bool) {
	for part := range strings.SplitSeq(consent, ",") {
		name, state, found := strings.Cut(strings.TrimSpace(part), ":")
		if found && name == category {
			return state, true
		}
	}
	return "", false
}

// gate decides whether an event goes to a destination, "" for yes.
func gate(k *Kind, set *rules.Set, e *headlessly.Event) string {
	allowed := e.Consent != "denied"
	if !set.NoConsent() {
		allowed = Allowed(e.Consent, set.Consent(k.Consent))
	}
	switch {
	case !allowed:
		return SkipConsent
	case e.IsBot && !set.Bots():
		return SkipBot
	case !k.Takes(e):
		return SkipUnmapped
	case strings.Contains(e.Context, `"integrations"`) && switchedOff(e.Context, k):
		return SkipIntegration
	}
	return set.Drops(e)
}

// switchedOff reads Segment's integrations object: {"All": false, "PostHog": true}.
func switchedOff(context string, k *Kind) bool {
	v, err := fastjson.Parse(context)
	if err != nil {
		return false
	}
	off := false
	named := false
	v.GetObject("integrations").Visit(func(key []byte, v *fastjson.Value) {
		name := strings.ToLower(string(key))
		isFalse := v.Type() == fastjson.TypeFalse
		if name == "all" && !named {
			off = isFalse
			return
		}
		for _, alias := range k.Aliases {
			if name == alias {
				named, off = true, isFalse
			}
		}
	})
	return off
}
