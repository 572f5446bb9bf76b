package connectors

import "context"

type ownKey struct{}

// Own marks what is done with ctx as coming from a provider: a mutation is not
// carried back to it. Lifecycle gives connectors contexts that are marked.
//
// The actor does not tell: a hook acts by the actor of its event, and what it
// changes has to reach the provider.
func Own(ctx context.Context) context.Context { return context.WithValue(ctx, ownKey{}, true) }

// IsOwn says whether ctx is marked.
func IsOwn(ctx context.Context) bool { return ctx.Value(ownKey{}) != nil }
