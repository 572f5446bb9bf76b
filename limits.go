package headlessly

// Limits of the ingest interface, from the events specification.
const (
	// MaxBodyBytes is the largest request body after decompression.
	MaxBodyBytes = 4 << 20
	// MaxEventBytes is the largest single event, as JSON.
	MaxEventBytes = 32 << 10
	// MaxBatchEvents is how many events one request may hold; a 4 MiB body of
	// the smallest useful events stays below it.
	MaxBatchEvents = 10_000
	// MaxJSONDepth stops depth bombs before the parser recurses.
	MaxJSONDepth = 32
	// MaxJSONKeys is how many keys one event may have in all.
	MaxJSONKeys = 1_000
	// MaxRejectedBytes is how much of an unusable body is kept; more than an
	// event's limit so that one oversize event stays readable whole in most
	// cases.
	MaxRejectedBytes = 64 << 10
	// MaxIDBytes bounds message, user, anonymous, session and group ids.
	MaxIDBytes = 256
	// MaxNameBytes bounds an event's name.
	MaxNameBytes = 256
	// MaxTenantBytes bounds a tenant's name.
	MaxTenantBytes = 63
)
