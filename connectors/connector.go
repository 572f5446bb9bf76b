package connectors

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
)

// Kind describes a connector.
type Kind struct {
	Provider string // "stripe": the provider argument of Integration.connect
	Name     string // "Stripe"
	Category string // as Integration.category
	AuthType string // as Integration.authType
	URL      string // of the provider, for people

	// Secrets are the credential fields that connect takes ("apiKey"). Other
	// secrets among the arguments are refused.
	Secrets []string
	// SecretsOptional says that an integration may do without any.
	SecretsOptional bool
	// Args are the further arguments of connect, which become fields of the
	// integration.
	Args []string
	// Many lets a tenant connect the provider any number of times. Otherwise
	// connecting again without an id or another slug changes the integration
	// that is there.
	Many bool
	// AttachFirst has a changed integration attached before what was attached
	// of it is detached, so that it is never without.
	AttachFirst bool
	// Verbs are the mutations that are carried to the provider, by entity
	// type. A connector that lists any is a [Pusher].
	Verbs map[string][]string
	// SyncEvery is how often a [Syncer] is asked for news by itself; 0 never.
	SyncEvery time.Duration
}

// Connector speaks one provider's protocol. It is safe for concurrent use and
// keeps no state of an integration; each call may block on the network until
// its context ends.
type Connector interface {
	Kind() Kind
	// Validate checks the arguments and asks the provider whether the
	// credential works. It may set Config and Fields of the link, which is a
	// draft then, and nothing else. It changes nothing at the provider.
	Validate(ctx context.Context, l *Link) error
	// Disconnect takes away what the integration left at the provider. It is
	// idempotent. After it the credential is forgotten, also when it failed.
	Disconnect(ctx context.Context, l *Link) error
}

// Registrar registers a webhook at the provider.
type Registrar interface {
	// Register makes the provider send to l.InboundURL, and puts the secret of
	// the webhook into l.Secrets. It is called after each Validate and is
	// idempotent. A provider that may not be told is no error: say so in
	// l.Config.
	Register(ctx context.Context, l *Link) error
}

// Syncer brings the provider's objects.
type Syncer interface {
	// Sync yields pages from cursor on: nil asks for everything, the cursor of
	// the last page of a finished sync for what has changed since. The cursor
	// of any page must do to go on behind it, in another process. Pages are
	// applied before the next is asked for. An error ends the sync; it is
	// tried again from the last page's cursor.
	Sync(ctx context.Context, l *Link, cursor json.RawMessage) iter.Seq2[Page, error]
}

// Page is one step of a sync.
type Page struct {
	Changes []Change
	Cursor  json.RawMessage
	// Phase says what is being read, for people: "customers".
	Phase string
}

// Receiver takes what the provider sends.
type Receiver interface {
	// Verify judges a request by its raw bytes. It is called on the hot path:
	// it must not block. An integration that has no secret to verify with
	// answers [ErrNoSecret].
	Verify(l *Link, r *headlessly.Receipt) error
	// Read maps a verified receipt. It may ask the provider for more. A
	// receipt that means nothing to the connector gives no changes.
	Read(ctx context.Context, l *Link, r *headlessly.Receipt) (Delivery, error)
}

// Delivery is what a receipt means.
type Delivery struct {
	// ID is the provider's id of the delivery; a second one within
	// [DedupeFor] is dropped. "" for none.
	ID      string
	Changes []Change
}

// DedupeFor is how long ids of deliveries are remembered.
const DedupeFor = 7 * 24 * time.Hour

// Pusher carries mutations to the provider.
type Pusher interface {
	// Push carries a draft to the provider, and puts into d.Fields what the
	// provider answered. The time is the provider's, as of which the fields
	// are; zero when nothing had to be said. It may be called again with the
	// same d.EventID, from which it makes its idempotency keys, and a d.ID
	// that differs if the entity is being made.
	Push(ctx context.Context, l *Link, d *graph.Draft) (time.Time, error)
}

// Attacher works while the integration is connected.
type Attacher interface {
	// Attach starts the work. It is called at each start of the process, and
	// again, after detach, when the integration has changed. It must not
	// block; detach waits until nothing is running.
	Attach(ctx context.Context, l *Link) (detach func(), err error)
}
