package connectors

import (
	"context"
	"time"
)

// Change is the state of one of the provider's objects.
type Change struct {
	// Type is the entity type, and Key and ID the unique field and value that
	// know the object: Customer, stripeCustomerId, cus_1.
	Type, Key, ID string
	// Fields are the entity's fields as the provider has them; nil removes
	// one. What is not named stays.
	Fields map[string]any
	// Refs are the fields that refer to entities of other objects. Those that
	// are not there yet are referred to nevertheless.
	Refs map[string]Ref
	// Fit, when set, adapts Fields to the entity's fields as they are: what
	// the object does not say must not undo what another said.
	Fit func(now, fields map[string]any)
	// Partial says that the fields are a part only: an object that is not
	// known is not made of them.
	Partial bool
	// Gone says that the object is deleted; Fields do not count then.
	Gone bool
	// Steps are the verbs among what changed, given the entity's fields now
	// and after (now is nil for a new one). The rest is an update, or the
	// create, which comes first.
	Steps func(now, after map[string]any) []Step
	// At is as of when the state is, by the provider's clock.
	At time.Time
	// Fresh says that an object which is not known is no surprise. For others
	// Again is asked first.
	Fresh bool
	// Again reads the object anew, where the order of changes is unclear. It
	// may be nil.
	Again func(ctx context.Context) (Change, error)
	// Stale says that the fields are not to be used: Again has to be asked.
	Stale bool
	// Origin is the id of the event of ours that made the object, "" where
	// it is not ours, and Made when it made it.
	Origin string
	Made   time.Time
}

// Step is a verb that a change means, and the fields that it changes.
type Step struct {
	Verb   string
	Fields []string
}

// Ref names another object.
type Ref struct{ Type, Key, ID string }

// Fields that lifecycle keeps in each entity that has an object at a provider.
const (
	// FieldIntegration is the integration that the entity belongs to.
	FieldIntegration = "integration"
	// FieldSyncedAt is as of when the entity shows the provider's state.
	FieldSyncedAt = "syncedAt"
)
