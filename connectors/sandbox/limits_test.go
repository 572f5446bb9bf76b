package sandbox_test

import (
	"errors"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/sandbox"
)

// exhaust runs a program that can only end at one limit, with time for it on a
// busy machine, and gives the limit's code.
func (s *setting) exhaust(t testing.TB, source string) (sandbox.Result, string) {
	t.Helper()
	r, err := s.box.Run(t.Context(), sandbox.Program{Source: source, Host: s.host})
	var e *sandbox.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %s, %v, want an error of the sandbox", r.Value, err)
	}
	return r, e.Code
}

func TestOperationsAreCounted(t *testing.T) {
	s := start(t, nil)
	for _, c := range []struct {
		name, source string
		least, most  int64
	}{
		{"next to nothing", `1 + 1`, 0, 20_000},
		{"turns of a loop", `for (let i = 0; i < 1e6; i++); 'done'`, 2_000_000, 2_050_000},
		{"calls of a function", `const f = () => 1; for (let i = 0; i < 1e5; i++) f(); 'done'`, 300_000, 350_000},
		{"calls by a method of the language", `Array.from({ length: 1e5 }, (_, i) => i).map((x) => x).length`, 200_000, 400_000},
		{"jobs of promises", `for (let i = 0; i < 1e5; i++) await null; 'done'`, 300_000, 1_000_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := s.box.Run(t.Context(), sandbox.Program{Source: c.source, Host: s.host})
			if err != nil || r.Operations < c.least || r.Operations > c.most {
				t.Errorf("got %d operations, %v, want %d to %d", r.Operations, err, c.least, c.most)
			}
		})
	}
}

func TestTooManyOperationsEndAProgram(t *testing.T) {
	const limit = 2_000_000
	s := start(t, func(c *sandbox.Config) { c.Operations = limit })
	for _, c := range []struct{ name, source string }{
		{"a loop", `for (;;) {}`},
		{"a loop that catches", `for (;;) { try { for (;;) {} } catch {} finally { continue } }`},
		{"jobs that make jobs and keep nothing", `const f = () => { Promise.resolve().then(f) }; f(); await new Promise(() => {})`},
		{"an async function that does not end", `const f = async () => { for (;;) await null }; await f()`},
		{"a loop in the first job", `await null; for (;;) {}`},
		{"a getter of the result", `({ get a() { for (;;) {} } })`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, code := s.exhaust(t, c.source)
			if code != sandbox.CodeOperations || r.Operations < limit || r.Operations > 2*limit {
				t.Errorf("got %s after %d operations, want %s", code, r.Operations, sandbox.CodeOperations)
			}
			if got, err := s.run(t, `40 + 2`); err != nil || got != "42" {
				t.Errorf("after it: got %s, %v", got, err)
			}
		})
	}
	if r, err := s.box.Run(t.Context(), sandbox.Program{Source: `for (let i = 0; i < 9e5; i++); 'done'`, Host: s.host}); err != nil || string(r.Value) != `"done"` {
		t.Errorf("within the limit: got %s, %v", r.Value, err)
	}
}

// TestProgramsThatFillTheirMemoryAreToldSo has the heap filled in small pieces
// until there is no room even for an error: the engine then throws null.
func TestProgramsThatFillTheirMemoryAreToldSo(t *testing.T) {
	s := start(t, func(c *sandbox.Config) { c.Memory, c.Operations = 16<<20, 0 })
	for _, c := range []struct{ name, source string }{
		{"jobs, each of which waits for the next", `const f = () => Promise.resolve().then(f); await f()`},
		{"objects", `const a = []; for (;;) a.push({ a: {} })`},
		{"a list of small objects", `let a; for (;;) a = { a }`},
		{"small texts", `const a = {}; for (let i = 0; ; i++) a['k' + i] = 'v' + i`},
		{"closures, in a job", `await null; let f = () => 0; for (;;) { const g = f; f = () => g }`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, code := s.exhaust(t, c.source); code != sandbox.CodeMemory {
				t.Errorf("got %s, want %s", code, sandbox.CodeMemory)
			}
		})
	}
	for _, source := range []string{`throw null`, `await null; throw null`} {
		_, err := s.run(t, source)
		var e *sandbox.Error
		if !errors.As(err, &e) || e.Code != sandbox.CodeThrew || e.Message != "null" {
			t.Errorf("%s: got %#v, want what it threw", source, e)
		}
	}
}

func TestJobsWithoutEndAreStoppedAtTheDeadline(t *testing.T) {
	s := start(t, func(c *sandbox.Config) { c.Operations = 0 })
	_, err := s.box.Run(t.Context(), sandbox.Program{Source: `const f = () => { Promise.resolve().then(f) }; f(); await new Promise(() => {})`, Host: s.host, Timeout: 1500 * time.Millisecond})
	var e *sandbox.Error
	if !errors.As(err, &e) || e.Code != sandbox.CodeTimeout {
		t.Errorf("got %v, want %s", err, sandbox.CodeTimeout)
	}
}

func TestCallsOfTheHostAreCountedAndLimited(t *testing.T) {
	s := start(t, func(c *sandbox.Config) { c.MaxCalls = 10 })
	for _, source := range []string{`for (;;) await $.Deal.count()`, `await Promise.all(Array.from({ length: 50 }, () => $.Deal.count()))`} {
		if r, code := s.exhaust(t, source); code != sandbox.CodeTooMany || r.Calls != 11 {
			t.Errorf("%s: got %s after %d calls, want %s at the 11th", source, code, r.Calls, sandbox.CodeTooMany)
		}
	}
	r, err := s.box.Run(t.Context(), sandbox.Program{Source: `for (let i = 0; i < 9; i++) await $.Deal.count(); await $.status(); 'done'`, Host: s.host})
	if err != nil || r.Calls != 10 || r.Writes != 0 {
		t.Errorf("within the limit: got %d calls, %d writes, %v", r.Calls, r.Writes, err)
	}
}
