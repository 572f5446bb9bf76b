package graph

import (
	"fmt"
	"slices"
	"strings"
)

// CheckPattern says what is wrong with a pattern of events that no event can
// ever fit, as its type or event is declared nowhere; "" when nothing is. Types
// are declared before the graph opens, so there is none that comes later.
func (ts *Types) CheckPattern(pattern string) string {
	typ, event, _ := strings.Cut(pattern, ".")
	if typ == "*" && event == "" {
		return ""
	}
	types := ts.list
	if typ != anyType {
		var names []string
		types = nil
		for _, one := range ts.list {
			if names = append(names, one.Name); strings.EqualFold(one.Name, typ) {
				types = []*Type{one}
			}
		}
		if types == nil {
			return fmt.Sprintf("there is no type %q%s; one of your own is declared first", typ, suggestion(typ, names))
		}
	}
	if event == "*" {
		return ""
	}
	var events []string
	for _, one := range types {
		for i := range one.Verbs {
			events = append(events, one.Verbs[i].Event)
		}
		events = append(events, one.Events...)
	}
	if slices.ContainsFunc(events, func(e string) bool { return strings.EqualFold(e, event) }) {
		return ""
	}
	if typ == anyType {
		return fmt.Sprintf("no type has the event %q%s", event, suggestion(event, events))
	}
	return fmt.Sprintf("%s has no event %q%s", types[0].Name, event, suggestion(event, events))
}
