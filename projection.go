package headlessly

// Delivery is one attempt to hand one event to one destination, and what came
// of it: a row of the deliveries table. Times are µs since the Unix epoch.
type Delivery struct {
	// ID is a UUID that the sender gives the attempt, so that an attempt that
	// is noted twice is one row.
	ID          string
	Tenant      string
	Destination string // "ga4", "sentry", "posthog", "webhook", …
	Integration string // the integration's $id, "" where there is none
	MessageID   string // of the event: a UUID, or evt_… for an entity's event
	Event       string // the event's name or type, for reading
	EventSeq    int64  // the event's place in the log, 0 where not known
	Attempt     int64  // 1 for the first
	At          int64  // µs: when the attempt began
	Took        int64  // µs
	Outcome     string // delivered, skipped, retry, dead, unknown
	Status      int64  // HTTP status, 0 without an answer
	Note        string // excerpt of the answer, without secrets
	Error       string // the network's error or the destination's, without secrets
	Replay      bool   // asked for by hand
	LogSeq      int64  // set by a reader, not part of the binary form
}

// EntityEvent is one mutation of the graph: a row of the entity_events table.
type EntityEvent struct {
	ID      string // evt_…
	Tenant  string
	Event   string // Subscription.Cancelled
	Type    string // Subscription
	Entity  string // the entity's $id
	Actor   string
	Time    int64  // µs since the Unix epoch
	Version int64  // the entity's version after it
	Seq     int64  // place in the graph's log
	Data    string // JSON object: the whole entity, or {"field":{"before":…,"after":…}}
	Whole   bool   // Data is the whole entity
	Deleted bool   // the entity is gone after it
	Cause   string // id of the event whose hook made this one, "" for none
	LogSeq  int64  // set by a reader, not part of the binary form
}

// MetricSnapshot is one value of one metric at one moment: a row of the
// metric_snapshots table. Money is Amount in minor units of Currency and never
// a float; a count or a ratio is Value.
type MetricSnapshot struct {
	Tenant     string
	Name       string // "mrr", "churn_rate", …
	Kind       string // Counter, Gauge, Histogram, Summary
	Unit       string
	Time       int64 // µs since the Unix epoch: the moment it is the value of
	From       int64 // µs: start of the period it sums up, 0 for none
	Value      float64
	Amount     int64  // minor units of Currency
	Currency   string // ISO 4217; "" says that Value holds and not Amount
	Dimensions string // JSON object or ""
	Source     string // integration or entity it was computed from
	LogSeq     int64  // set by a reader, not part of the binary form
}
