package rules_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/rules"
)

func compile(t testing.TB, r headlessly.Rules) *rules.Set {
	t.Helper()
	set, err := rules.Compile(&r)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func order() *headlessly.Event {
	return forwardertest.Event("acme", headlessly.TypeTrack, 1, headlessly.SystemClock())
}

func TestWhichEventsGo(t *testing.T) {
	for _, row := range []struct {
		name  string
		rules headlessly.Rules
		want  string
	}{
		{"no rules", headlessly.Rules{}, ""},
		{"by name", headlessly.Rules{Events: []string{"Order Completed"}}, ""},
		{"by type", headlessly.Rules{Events: []string{"track"}}, ""},
		{"by pattern", headlessly.Rules{Events: []string{"page", "Order *"}}, ""},
		{"a star in the middle", headlessly.Rules{Events: []string{"O*er*ted"}}, ""},
		{"a pattern that is another's", headlessly.Rules{Events: []string{"Cart *"}}, rules.Rule},
		{"a name is no prefix", headlessly.Rules{Events: []string{"Order"}}, rules.Rule},
		{"excluded by name", headlessly.Rules{Events: []string{"!Order *"}}, rules.Rule},
		{"others excluded", headlessly.Rules{Events: []string{"!page"}}, ""},
		{"an exclusion beats an inclusion", headlessly.Rules{Events: []string{"track", "!Order *"}}, rules.Rule},
		{"an expression on properties", headlessly.Rules{When: `properties.total > 40 && country == "DE"`}, ""},
		{"an expression that is false", headlessly.Rules{When: `properties.total > 100`}, rules.Rule},
		{"an expression on a value that is missing", headlessly.Rules{When: `properties.nothing > 1`}, rules.Rule},
		{"a value that is missing is nil", headlessly.Rules{When: `properties.nothing == nil`}, ""},
		{"a list", headlessly.Rules{When: `any(properties.products, .price > 20)`}, ""},
		{"a regular expression", headlessly.Rules{When: `path matches "^/c[ao]rt$"`}, ""},
		{"revenue", headlessly.Rules{When: `revenue == 42.5 && currency in ["EUR", "USD"]`}, ""},
		{"pattern and expression must both agree", headlessly.Rules{Events: []string{"track"}, When: `false`}, rules.Rule},
	} {
		if got := compile(t, row.rules).Drops(order()); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

func TestASampleKeepsWholeVisitors(t *testing.T) {
	share := 0.25
	set := compile(t, headlessly.Rules{Sample: &share})
	kept := 0
	for n := range 4000 {
		e := order()
		e.AnonymousID = forwardertest.ID(n)
		first := set.Drops(e)
		e.Event, e.MessageID = "another", forwardertest.ID(n+1)
		if set.Drops(e) != first {
			t.Fatalf("visitor %d is half in the sample", n)
		}
		if first == "" {
			kept++
		} else if first != rules.Sample {
			t.Fatalf("reason %q", first)
		}
	}
	if kept < 900 || kept > 1100 {
		t.Errorf("kept %d of 4000 visitors, want about 1000", kept)
	}
}

func TestWhatAnEventLooksLike(t *testing.T) {
	props := func(p headlessly.PropertyRules) headlessly.Rules { return headlessly.Rules{Properties: &p} }
	for _, row := range []struct {
		name  string
		rules headlessly.Rules
		in    string
		want  string
	}{
		{"dropped", props(headlessly.PropertyRules{Drop: []string{"secret", "tmp_*"}}), `{"a":1,"secret":2,"tmp_x":3}`, `{"a":1}`},
		{"kept", props(headlessly.PropertyRules{Keep: []string{"a", "b*"}}), `{"a":1,"bcd":2,"e":3}`, `{"a":1,"bcd":2}`},
		{"masked", props(headlessly.PropertyRules{Mask: []string{"mail"}}), `{"mail":"ada@x"}`, `{"mail":"[masked]"}`},
		{"renamed", props(headlessly.PropertyRules{Rename: map[string]string{"a": "b"}}), `{"a":1}`, `{"b":1}`},
		{"places changed", props(headlessly.PropertyRules{Rename: map[string]string{"a": "b", "b": "a"}}), `{"a":1,"b":2}`, `{"a":2,"b":1}`},
		{"added", props(headlessly.PropertyRules{Add: map[string]string{"eu": "country in ['DE','FR']", "twice": "properties.n * 2"}}), `{"n":2}`, `{"eu":true,"n":2,"twice":4}`},
		{"an expression that fails adds nothing", props(headlessly.PropertyRules{Add: map[string]string{"x": "properties.nothing + 1"}}), `{"n":2}`, `{"n":2}`},
		{"dropped before it is added", props(headlessly.PropertyRules{Drop: []string{"a"}, Add: map[string]string{"a": "'new'"}}), `{"a":1}`, `{"a":"new"}`},
		{"everything dropped", props(headlessly.PropertyRules{Drop: []string{"*"}}), `{"a":1}`, ``},
		{"properties that are no object", props(headlessly.PropertyRules{Add: map[string]string{"a": "1"}}), `[1]`, `{"a":1}`},
	} {
		e := order()
		e.Properties = row.in
		before := *e
		got := compile(t, row.rules).Apply(e)
		if got.Properties != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got.Properties, row.want)
		}
		if *e != before {
			t.Errorf("%s: the shared event was changed", row.name)
		}
	}
}

func TestNamesAndTraits(t *testing.T) {
	set := compile(t, headlessly.Rules{
		Rename:     map[string]string{"Order Completed": "purchase"},
		Properties: &headlessly.PropertyRules{Mask: []string{"email"}, Drop: []string{"plan"}},
	})
	e := order()
	e.Traits = `{"email":"ada@x","plan":"pro","seats":3}`
	got := set.Apply(e)
	if got.Event != "purchase" || got.Traits != `{"email":"[masked]","seats":3}` {
		t.Errorf("got %s %s", got.Event, got.Traits)
	}
	var none *rules.Set
	if none.Apply(e) != e || none.Drops(e) != "" {
		t.Error("no rules changed something")
	}
}

func TestRulesThatAreWrongSayWhere(t *testing.T) {
	two := 2.0
	for _, row := range []struct {
		name  string
		rules headlessly.Rules
		field string
	}{
		{"an expression that cannot be read", headlessly.Rules{When: "properties."}, "rules.when"},
		{"an expression that is no condition", headlessly.Rules{When: "'yes'"}, "rules.when"},
		{"a misspelt name", headlessly.Rules{When: "contry == 'DE'"}, "rules.when"},
		{"a range", headlessly.Rules{When: "any(1..1000000000, # == 3)"}, "rules.when"},
		{"a loop within a loop", headlessly.Rules{When: "any(properties.a, any(properties.b, # > 1))"}, "rules.when"},
		{"a loop within a loop's operand", headlessly.Rules{When: "all(properties.a, count(properties.b, true) + # > 1)"}, "rules.when"},
		{"a function that builds large values", headlessly.Rules{When: "repeat('x', 1000000000) == ''"}, "rules.when"},
		{"a function that reads the clock", headlessly.Rules{When: "now().Year() > 1"}, "rules.when"},
		{"too long", headlessly.Rules{When: strings.Repeat("true && ", 300) + "true"}, "rules.when"},
		{"too many nodes", headlessly.Rules{When: strings.Repeat("1+", 250) + "1 > 0"}, "rules.when"},
		{"a sample above one", headlessly.Rules{Sample: &two}, "rules.sample"},
		{"a wrong expression for a property", headlessly.Rules{Properties: &headlessly.PropertyRules{Add: map[string]string{"x": "("}}}, "rules.properties.add.x"},
		{"an empty name", headlessly.Rules{Rename: map[string]string{"a": ""}}, "rules.rename.a"},
	} {
		err := rules.Validate(&row.rules)
		var fault *headlessly.FieldError
		if !errors.As(err, &fault) || fault.Field != row.field {
			t.Errorf("%s: got %v, want a fault of %s", row.name, err, row.field)
		}
	}
}

func FuzzRules(f *testing.F) {
	for _, s := range []string{
		"properties.total > 1", "any(properties.products, .price > 20)", "event matches 'a+'", "len(event) ** 99 > 1",
		"properties.a.b.c[1]?.d ?? 'x' in traits", "let x = 1; x + 1 == 2", "event[1:9999999] == ''", "-1 % 0 == 1",
	} {
		f.Add(s, `{"total":2,"products":[{"price":1}]}`)
	}
	f.Fuzz(func(t *testing.T, source, props string) {
		set, err := rules.Compile(&headlessly.Rules{When: source, Properties: &headlessly.PropertyRules{Add: map[string]string{"x": source}}})
		if err != nil {
			return
		}
		e := order()
		e.Properties = props
		start := headlessly.SystemClock()
		first := set.Drops(e)
		applied := set.Apply(e)
		if took := headlessly.SystemClock().Sub(start); took > 5*time.Second {
			t.Fatalf("%q ran for %s", source, took)
		}
		if second := set.Drops(e); first != second || fmt.Sprint(applied.Properties) != set.Apply(e).Properties {
			t.Fatalf("%q decides differently each time", source)
		}
	})
}
