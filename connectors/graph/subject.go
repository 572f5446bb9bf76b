package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// names are the streams and subjects of one graph.
type names struct {
	graph, state string // streams
	prefix       string // of the graph's subjects, with its dot
	statePrefix  string
	hooks        string // of requests to remote hooks
}

func makeNames(prefix string) names {
	stream, subject := "", ""
	if prefix != "" {
		stream, subject = prefix+"_", prefix+"."
	}
	return names{graph: stream + "graph", state: stream + "graph_state", prefix: subject + "graph.", statePrefix: subject + "graphstate.", hooks: subject + "graphhooks."}
}

// entity is the subject of one entity's events: its last message's sequence is
// what a mutation compares.
func (n names) entity(tenant, typ, id string) string {
	return n.prefix + tenant + ".e." + typ + "." + id
}

// unique is the subject of one unique value's reservations.
func (n names) unique(tenant, typ, field, key string) string {
	sum := sha256.Sum256([]byte(key))
	return n.prefix + tenant + ".u." + typ + "." + field + "." + hex.EncodeToString(sum[:16])
}

// padding is the subject of messages that only take a place.
func (n names) padding() string { return n.prefix + "padding" }

// place is what a subject of the graph says.
type place struct {
	tenant, typ string
	id          string // of an entity's event
	field       string // of a reservation
}

func (n names) parse(subject string) (p place, ok bool) {
	rest, ok := strings.CutPrefix(subject, n.prefix)
	if !ok {
		return p, false
	}
	parts := strings.Split(rest, ".")
	switch {
	case len(parts) == 4 && parts[1] == "e":
		return place{tenant: parts[0], typ: parts[2], id: parts[3]}, true
	case len(parts) == 5 && parts[1] == "u":
		return place{tenant: parts[0], typ: parts[2], field: parts[3]}, true
	}
	return p, false
}

// uniqueKey is the text that stands for a unique value: a number and a string
// that look alike are different values.
func uniqueKey(v any) string {
	if n, ok := v.(number); ok {
		return "n" + string(n)
	}
	s, _ := v.(string)
	return "s" + s
}
