// Package handlers runs hooks whose source is stored at the gateway: entities
// of type Handler, versioned like every entity, in the sandbox.
//
//	h, err := handlers.New(handlers.Config{Store: store, Sandbox: box, Tenants: tenants})
//	go h.Run(ctx)
//
// A handler is TypeScript, a function of the entity, $ and the event, as the SDK
// takes them, or a module that exports one as its default:
//
//	{"name":"won","hook":"Deal.won","source":"async (deal, $) => { await $.Contact.update(deal.contact, { stage: 'Customer' }) }"}
//
// A before handler (a verb's gerund) runs while the mutation waits. What it sets
// on its argument or gives back becomes part of the mutation, a throw vetoes it;
// when it fails in another way (its deadline, its memory), the mutation goes on,
// or is refused with missing: veto. An after handler gets each event at least
// once and in order per entity, from its creation on; after the graph's number
// of attempts an event is parked. It acts by its own name (handler_…), and what it
// does names the event as its cause.
//
// Source that does not compile, or a hook that does not exist, is refused when
// the handler is stored. Handlers have no hooks of their own, so that none can
// lock the door to itself. They see no SQL: whoever may store one could read
// with it what their key may not.
package handlers
