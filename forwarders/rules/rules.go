package rules

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// Masked is what a masked value becomes.
const Masked = "[masked]"

// maxList bounds each list and map of the rules.
const maxList = 200

// Reasons for which a rule drops an event.
const (
	Rule   = "rule"
	Sample = "sample"
)

// Set is a destination's rules, ready to use. Safe for concurrent use.
type Set struct {
	rules   headlessly.Rules
	include []string
	exclude []string
	when    *vm.Program
	add     []addition
	limit   uint64 // of a visitor's hash
	changes bool
}

type addition struct {
	name  string
	value *vm.Program
}

// Validate reports every fault of the rules, with its place.
func Validate(r *headlessly.Rules) error {
	_, err := Compile(r)
	return err
}

// Compile makes rules ready. The error joins a *headlessly.FieldError for each
// fault. nil gives nil.
func Compile(r *headlessly.Rules) (*Set, error) {
	if r == nil {
		return nil, nil //nolint:nilnil // a nil Set is one without rules
	}
	s := &Set{rules: *r, limit: math.MaxUint64}
	var errs []error
	fault := func(field, format string, args ...any) {
		errs = append(errs, &headlessly.FieldError{Code: "validation_failed", Field: "rules." + field, Message: fmt.Sprintf(format, args...)})
	}
	for _, p := range r.Events {
		if rest, no := strings.CutPrefix(p, "!"); no {
			s.exclude = append(s.exclude, rest)
		} else {
			s.include = append(s.include, p)
		}
	}
	if r.When != "" {
		var err error
		if s.when, err = compile(r.When, expr.AsBool()); err != nil {
			fault("when", "%s", firstLine(err))
		}
	}
	if r.Sample != nil {
		if !(*r.Sample > 0 && *r.Sample <= 1) {
			fault("sample", "must be above 0 and at most 1, got %v", *r.Sample)
		} else if *r.Sample < 1 {
			s.limit = uint64(*r.Sample * math.MaxUint64)
		}
	}
	if r.PerSecond < 0 || math.IsNaN(r.PerSecond) || math.IsInf(r.PerSecond, 0) {
		fault("perSecond", "must not be negative")
	}
	for field, n := range map[string]int{"events": len(r.Events), "rename": len(r.Rename)} {
		if n > maxList {
			fault(field, "has %d entries, limit %d", n, maxList)
		}
	}
	for from, to := range r.Rename {
		if to == "" || len(to) > headlessly.MaxNameBytes {
			fault("rename."+from, "must be a name of at most %d bytes", headlessly.MaxNameBytes)
		}
	}
	s.changes = len(r.Rename) > 0
	if p := r.Properties; p != nil {
		s.properties(p, fault)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Set) properties(p *headlessly.PropertyRules, fault func(field, format string, args ...any)) {
	s.changes = s.changes || len(p.Keep)+len(p.Drop)+len(p.Mask)+len(p.Rename)+len(p.Add) > 0
	if n := len(p.Keep) + len(p.Drop) + len(p.Mask) + len(p.Rename) + len(p.Add); n > maxList {
		fault("properties", "has %d entries, limit %d", n, maxList)
		return
	}
	for name, source := range p.Add {
		v, err := compile(source)
		if err != nil {
			fault("properties.add."+name, "%s", firstLine(err))
			continue
		}
		s.add = append(s.add, addition{name, v})
	}
	slices.SortFunc(s.add, func(a, b addition) int { return strings.Compare(a.name, b.name) })
}

// firstLine leaves out the picture that expr draws below its message.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// Bots says whether events of bots go too.
func (s *Set) Bots() bool { return s != nil && s.rules.Bots }

// PerSecond is the bound on events a second, 0 for none.
func (s *Set) PerSecond() float64 {
	if s == nil {
		return 0
	}
	return s.rules.PerSecond
}

// Consent gives the categories that govern the destination, given its own.
func (s *Set) Consent(categories []string) []string {
	if s == nil || s.rules.Consent == "" || s.rules.Consent == "none" {
		return categories
	}
	return []string{s.rules.Consent}
}

// NoConsent says that no category governs the destination: only "denied" as a
// whole keeps an event.
func (s *Set) NoConsent() bool { return s != nil && s.rules.Consent == "none" }

// Drops gives the reason for which an event does not go, "" if it does.
func (s *Set) Drops(e *headlessly.Event) string {
	switch {
	case s == nil:
		return ""
	case !s.matches(e):
		return Rule
	case s.limit != math.MaxUint64 && spread(payload.Hash(payload.Visitor(e))) > s.limit:
		return Sample
	case s.when == nil:
		return ""
	}
	out, err := expr.Run(s.when, view(e))
	if yes, ok := out.(bool); err != nil || !ok || !yes {
		return Rule
	}
	return ""
}

// spread makes every bit of a hash depend on every other, so that a share of
// its range is a share of the visitors.
func spread(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func (s *Set) matches(e *headlessly.Event) bool {
	for _, p := range s.exclude {
		if glob(p, e.Type) || glob(p, e.Event) {
			return false
		}
	}
	if len(s.include) == 0 {
		return true
	}
	for _, p := range s.include {
		if glob(p, e.Type) || glob(p, e.Event) {
			return true
		}
	}
	return false
}

// glob matches a name against a pattern in which * stands for anything.
func glob(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return strings.HasSuffix(rest, last)
}
