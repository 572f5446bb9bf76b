package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/graph/graphtest"
	"github.com/headlessly/headlessly/connectors/sandbox"
	"github.com/headlessly/headlessly/connectors/sandbox/worker"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.WorkerArgument { // this binary is the worker, too
		if err := worker.Main(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// setting is a sandbox over a graph with a type of the user's own.
type setting struct {
	box   *sandbox.Sandbox
	scope *graph.Scope
	other *graph.Scope // of another tenant
	host  *sandbox.GraphHost
}

func start(t testing.TB, with func(*sandbox.Config)) *setting {
	t.Helper()
	types, err := graph.BuiltinTypes().With("own.yaml", []byte("Boat:\n  domain: fleet\n  fields: {name: string!, length: number}\n  verbs: {launch: Launched; length = 1}\n"))
	if err != nil {
		t.Fatal(err)
	}
	store := graphtest.Start(t).Open(t, func(c *graph.Config) { c.Types = types })
	cfg := sandbox.Default()
	cfg.Timeout = time.Minute // the machine may be busy; bombs have one of their own
	if with != nil {
		with(&cfg)
	}
	s := &setting{box: sandbox.New(cfg), scope: graphtest.Scope(t, store, "acme"), other: graphtest.Scope(t, store, "other")}
	t.Cleanup(s.box.Close)
	s.host = &sandbox.GraphHost{
		Scope:  s.scope,
		Status: func(_ context.Context, tenant string) (any, error) { return map[string]any{"tenant": tenant}, nil },
		SQL: func(_ context.Context, _, sql string) ([]json.RawMessage, error) {
			return []json.RawMessage{json.RawMessage(fmt.Sprintf(`{"sql":%q}`, sql))}, nil
		},
	}
	return s
}

func (s *setting) run(t testing.TB, source string) (string, error) {
	t.Helper()
	r, err := s.box.Run(t.Context(), sandbox.Program{Source: source, Host: s.host})
	return string(r.Value), err
}

func TestAScriptActsOnTheGraph(t *testing.T) {
	s := start(t, nil)
	for _, c := range []struct{ name, source, want string }{
		{"the last expression", `1 + 1`, `2`},
		{"return", `const x: number = 20; return x * 2`, `40`},
		{"await and the last expression", `const d = await $.Deal.create({ name: 'A', value: 5 }); d.name`, `"A"`},
		{"await and return", `const d = await $.Deal.find({ name: 'A' }); return d.length`, `1`},
		{"a function", `async ($) => (await $.Deal.count())`, `1`},
		{"types and an interface", `interface P { name: string }; const p: P = { name: 'x' } as P; p.name!`, `"x"`},
		{"both shapes of a verb", `const d = await Deal.create({ name: 'B' }); await Deal.update(d.$id, { value: 1 }); await $.Deal.update({ id: d.$id, value: 2 }); const e = await Deal.update(d, { value: 3 }); [e.$version, e.value]`, `[4,3]`},
		{"a verb", `const d = await $.Deal.create({ name: 'C' }); (await $.Deal.win(d.$id)).stage`, `"Won"`},
		{"find with options", `const p = await $.Deal.find({}, { sort: 'name', limit: 2 }); for (const d of p) console.log(d.name); [p.length, p.total, p.hasMore]`, `[2,3,true]`},
		{"a page that is not the last says so", `await $.Deal.find({}, { sort: 'name', limit: 1, fields: ['name'] }).then(p => p.hasMore)`, `true`},
		{"get and delete", `const d = await $.Deal.create({ name: 'D' }); await $.Deal.delete(d); try { await $.Deal.get(d.$id) } catch (e) { e.code }`, `"not_found"`},
		{"rollback and history", `const d = await $.Deal.create({ name: 'E' }); await $.Deal.update(d, { name: 'F' }); const r = await $.Deal.rollback(d); [r.name, (await $.Deal.history(d)).map(e => e.type)]`, `["E",["Deal.Created","Deal.Updated","Deal.RolledBack"]]`},
		{"a type of the user's own", `const b = await $.Boat.create({ name: 'Ada' }); (await $.Boat.launch(b)).length`, `1`},
		{"many calls at once", `const all = await Promise.all(Array.from({ length: 20 }, (_, i) => $.Contact.create({ name: 'c' + i }))); all.length`, `20`},
		{"calls that are left alone are finished", `for (let i = 0; i < 5; i++) $.Contact.create({ name: 'alone' }); 'left'.length`, `4`},
		{"and were", `await $.Contact.count({ name: 'alone' })`, `5`},
		{"events", `(await $.events({ type: 'Boat.*' })).map(e => e.type)`, `["Boat.Launched","Boat.Created"]`},
		{"events beyond the limit are told", `const e = await $.events({ type: 'Boat.*', limit: 1 }); [e.length, e.hasMore, (await $.events({ type: 'Boat.*', limit: 2 })).hasMore]`, `[1,true,false]`},
		{"and in the answer", `(await $.events({ type: 'Boat.*', limit: 1 }).then(e => { e[0] = e[0].type; return e }))`, `{"results":["Boat.Launched"],"hasMore":true}`},
		{"a history has more than a page", `const d = await $.Deal.create({ name: 'G' }); for (let i = 0; i < 30; i++) await $.Deal.update(d, { value: i }); const h = await $.Deal.history(d); [h.length, h.hasMore, (await $.Deal.history(d, { limit: 5 })).hasMore]`, `[31,false,true]`},
		{"status", `(await $.status()).tenant`, `"acme"`},
		{"sql quotes values", "const name = \"O'Hara\"; (await $.sql`select * from events where a = ${name} and b = ${3}`)[0].sql", `"select * from events where a = 'O''Hara' and b = 3"`},
		{"sql as a text", `(await $.sql('select 1'))[0].sql`, `"select 1"`},
		{"timers", `await new Promise(r => setTimeout(r, 5)); 'later'`, `"later"`},
		{"code as the documentation has it", "import { Integration } from '@headlessly/platform'\nimport { Deal as D } from '@headlessly/crm'\nawait Integration.connect({ provider: 'stripe', apiKey: 'k' })\nconst active = await Integration.find({ status: 'Active' })\nfor (const i of active) { console.log(i.provider) }\nactive.length + await D.count({ name: 'nobody' })", `1`},
		{"big numbers and dates", `({ n: 9007199254740993n, d: new Date(0) })`, `{"n":"9007199254740993","d":"1970-01-01T00:00:00.000Z"}`},
		{"nothing", `void 0`, ``},
		{"a name", `const x = { a: 1 }; x`, `{"a":1}`},
		{"a name that is typed", `let x: number = 5; x as number`, `5`},
		{"null", `null`, `null`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := s.run(t, c.source)
			if err != nil || got != c.want {
				t.Errorf("got %s, %v; want %s", got, err, c.want)
			}
		})
	}
}

func TestAFaultSaysWhatToDo(t *testing.T) {
	s := start(t, nil)
	for _, c := range []struct{ name, source, code, part string }{
		{"syntax", "const a = 1\nconst = 2", sandbox.CodeSyntax, "line 2"},
		{"a throw", `throw new TypeError('no luck')`, sandbox.CodeThrew, "no luck"},
		{"a string thrown", `throw 'no luck'`, sandbox.CodeThrew, "no luck"},
		{"an unknown type", `await $.Deel.find()`, sandbox.CodeThrew, "$.Deel does not exist; known are"},
		{"an unknown verb", `await $.Deal.vin('x')`, sandbox.CodeThrew, "known are create"},
		{"an error of the graph", `await $.Deal.create({ name: 7 })`, "validation_failed", "name"},
		{"an error of the graph that nothing awaits", `$.Deal.create({ name: 7 }); 1`, "validation_failed", "name"},
		{"an unknown operator", `await $.Deal.find({ name: { $like: 'x' } })`, "invalid_filter", "$like"},
		{"a hook", `$.Deal.won(() => {})`, sandbox.CodeThrew, "store a handler"},
		{"the network", `await fetch('https://example.com')`, sandbox.CodeThrew, "no network"},
		{"the environment", `await $.Integration.connect({ provider: 'stripe', apiKey: process.env.STRIPE_KEY })`, sandbox.CodeThrew, "process.env.STRIPE_KEY"},
		{"another import", `import fs from 'node:fs'; fs.readFileSync('/etc/passwd')`, sandbox.CodeSyntax, "only @headlessly"},
		{"a dynamic import", `await import('std')`, sandbox.CodeThrew, ""},
		{"a result in a circle", `const a: any = {}; a.a = a; a`, sandbox.CodeThrew, "cannot be written as JSON"},
		{"a wait for nothing", `await new Promise(() => {})`, sandbox.CodeThrew, "never happens"},
		{"a long result", `'x'.repeat(1e6)`, sandbox.CodeTooLarge, "give back less"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.run(t, c.source)
			var e *sandbox.Error
			if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Message, c.part) {
				t.Errorf("got %#v (%v), want %s with %q", e, err, c.code, c.part)
			}
		})
	}
}

func TestTheConsoleIsKeptAndBounded(t *testing.T) {
	s := start(t, nil)
	r, err := s.box.Run(t.Context(), sandbox.Program{Host: s.host, Source: `console.log('a', 1, { b: [2] }); console.error(new Error('bad')); for (let i = 0; i < 1e5; i++) console.log('x'.repeat(100))`})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Console) < 3 || r.Console[0] != (sandbox.Line{Level: "log", Text: `a 1 {"b":[2]}`}) || r.Console[1] != (sandbox.Line{Level: "error", Text: "Error: bad"}) {
		t.Errorf("got %v", r.Console[:min(3, len(r.Console))])
	}
	n := 0
	for _, l := range r.Console {
		n += len(l.Text)
	}
	if n > 64<<10 || !strings.Contains(r.Console[len(r.Console)-1].Text, "takes no more") {
		t.Errorf("kept %d bytes, the last line is %q", n, r.Console[len(r.Console)-1].Text)
	}
}

func TestAProgramDoesWhatItsHostPermits(t *testing.T) {
	s := start(t, nil)
	s.host.Permit = func(kind, typ string) error {
		if kind == sandbox.AccessRead && (typ == "Deal" || typ == "") {
			return nil
		}
		return &graph.Error{Code: graph.CodeForbidden, Field: "key", Message: "the key's scopes do not allow this"}
	}
	if got, err := s.run(t, `await $.Deal.count()`); err != nil || got != "0" {
		t.Errorf("got %s, %v", got, err)
	}
	for _, source := range []string{`await $.Contact.find()`, `await $.Deal.create({ name: 'A' })`, "await $.sql`select 1`"} {
		_, err := s.run(t, source)
		var e *sandbox.Error
		if !errors.As(err, &e) || e.Code != "forbidden" {
			t.Errorf("%s: got %v", source, err)
		}
	}
}
