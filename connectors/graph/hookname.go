package graph

import "strings"

// Phase says when a hook runs.
type Phase string

// Phases.
const (
	Before Phase = "before" // sees the draft, may change or veto it
	After  Phase = "after"  // sees what happened
)

// HookName resolves a hook's name on this type: a verb's gerund is its before
// hook (cancelling), its past or any further event its after hook (cancelled,
// errored). Both spellings of a doubled consonant are taken. name is the verb
// of a before hook and the event of an after hook.
func (t *Type) HookName(hook string) (phase Phase, name string, err error) {
	for i := range t.Verbs {
		v := &t.Verbs[i]
		gerunds, pasts := v.spellings()
		for _, g := range gerunds {
			if strings.EqualFold(g, hook) {
				return Before, v.Name, nil
			}
		}
		for _, p := range pasts {
			if strings.EqualFold(p, hook) {
				return After, v.Event, nil
			}
		}
	}
	for _, e := range t.Events {
		if strings.EqualFold(e, hook) {
			return After, e, nil
		}
	}
	return "", "", notFound(t.Name, "", "%s has no hook %q%s", t.Name, hook, suggestion(hook, t.HookNames()))
}

// HookNames lists the canonical names of a type's hooks.
func (t *Type) HookNames() []string {
	var out []string
	for i := range t.Verbs {
		out = append(out, t.Verbs[i].Gerund, t.Verbs[i].Past)
	}
	for _, e := range t.Events {
		out = append(out, lowerFirst(e))
	}
	return out
}

// FindVerb gives the verb of this name; the error of an unknown one names what
// was probably meant.
func (t *Type) FindVerb(name string) (*Verb, error) {
	if v := t.verbs[name]; v != nil {
		return v, nil
	}
	var names []string
	for i := range t.Verbs {
		names = append(names, t.Verbs[i].Name)
	}
	return nil, notFound(t.Name, "", "%s has no verb %q%s", t.Name, name, suggestion(name, names))
}
