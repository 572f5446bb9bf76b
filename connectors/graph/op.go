package graph

// Op is one mutation.
type Op struct {
	Type string
	// Verb is what to do: create, update, delete, rollback, or one of the
	// type's own. "" together with Event records that event, without hooks.
	Verb  string
	Event string
	// ID is the entity. A verb that creates goes without; others also take it
	// from the argument "id".
	ID string
	// Args are the fields to set and the verb's arguments. A nil removes a
	// field.
	Args map[string]any
	// IfVersion refuses the mutation unless the entity has this version; 0
	// takes any.
	IfVersion int64
	// Version and AsOf name the state that a rollback goes back to; without
	// either it is the version before the last.
	Version int64
	AsOf    AsOf
	// NewID is the id that an import gives a new entity.
	NewID string
}

// Result is what a mutation did.
type Result struct {
	Entity *Entity // after it; as it was last, for a delete
	Event  *Event  // nil when nothing changed
}
