package collector

import (
	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/enrich"
)

// Policy is what a tenant asks of those who send it events.
type Policy struct {
	// Class groups tenants in metrics ("free", "pro"). There should be few.
	Class string
	// RequireKey refuses events without a key.
	RequireKey bool
	// Origins, where not empty, lists the origins (https://shop.example) that
	// may send events without a secret key.
	Origins []string
	// KeepIP stores client addresses whole.
	KeepIP bool
	// IgnoreGPC takes events with a Global Privacy Control signal for events
	// like others; otherwise the signal denies consent.
	IgnoreGPC bool
	// Redact takes out what the tenant does not want to store. It is not
	// applied to what is kept as rejected.
	Redact *enrich.Redaction
	// EventsPerSecond and Burst bound what the tenant sends, EventsPerDay what
	// it sends from one UTC midnight to the next, counted by this process. 0 is
	// no bound, and a burst of twice the rate.
	EventsPerSecond float64
	Burst           int
	EventsPerDay    int64
	// Forgotten tells whether an event is of somebody whose data was deleted:
	// it is refused and kept nowhere. nil while there is nobody.
	Forgotten func(user, visitor string) bool
}

// Directory knows tenants and keys. It answers from memory; safe for
// concurrent use.
type Directory interface {
	// Policy gives a tenant's policy, ok false for an unknown tenant.
	Policy(tenant string) (p Policy, ok bool)
	// Authenticate gives what a key is, ok false for one that is unknown or
	// revoked.
	Authenticate(key string) (k headlessly.Key, ok bool)
}
