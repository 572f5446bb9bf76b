// Package rules compiles and applies a tenant's rules for one destination:
// which events go there and what they look like.
//
//	set, err := rules.Compile(settings.Rules)
//	if reason := set.Drops(event); reason == "" {
//		send(set.Apply(event))
//	}
//
// Expressions are those of github.com/expr-lang/expr, cut down so that none can
// run for long: no ranges, no loops within loops, no functions that build
// large values, 200 nodes. They see the event's fields under their native
// names (type, event, userId, country, properties, traits, revenue …); a value
// that is missing is nil. An expression that fails on an event counts as false:
// what the tenant did not clearly allow stays here, counted as "rule".
//
// Apply never changes the event it is given. A nil *Set drops and changes
// nothing.
package rules
