package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/sandbox"
)

// TestABombCostsOneErrorAndNothingElse runs each bomb beside an honest program,
// and an honest one after it. Operations are not counted here: a fast machine
// would reach their limit before the deadline (TestTooManyOperationsEndAProgram
// has that limit).
func TestABombCostsOneErrorAndNothingElse(t *testing.T) {
	s := start(t, func(c *sandbox.Config) { c.Operations = 0 })
	for _, c := range []struct{ name, source, codes string }{
		{"endless loop", `for (;;) {}`, "timeout"},
		{"endless loop that catches", `for (;;) { try { for (;;) {} } catch {} finally { continue } }`, "timeout"},
		{"endless timers", `setInterval(() => {}, 0); await new Promise(() => {})`, "timeout"},
		{"regular expression", `/^(a+)+$/.test('a'.repeat(40) + 'b')`, "timeout"},
		{"regular expression in replace", `'a'.repeat(40).replace(/(a|a)*b/, '')`, "timeout"},
		{"memory by arrays", `const a = []; for (;;) a.push(new Array(1000).fill(7))`, "out_of_memory timeout"},
		{"memory by text", `let s = 'abc'; for (;;) s += s`, "out_of_memory script_error timeout"},
		{"memory by buffers", `const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1))`, "out_of_memory timeout script_error"},
		{"one huge buffer", `new Uint8Array(2 ** 33).length`, "out_of_memory script_error"},
		{"memory that catches", `const a = []; for (;;) { try { a.push('x'.repeat(1 << 16) + Math.random()) } catch { a.length = 0 } }`, "timeout out_of_memory crashed"},
		{"recursion", `const f = () => f(); f()`, "script_error"},
		{"deep recursion by JSON", `let a = []; for (let i = 0; i < 1e6; i++) a = [a]; JSON.stringify(a)`, "script_error out_of_memory timeout crashed"},
		{"deep nesting in the source", strings.Repeat("[", 200_000), "syntax_error script_error crashed out_of_memory timeout"},
		{"sorting with a lying comparison", `Array.from({ length: 1e7 }, Math.random).sort(() => Math.random() - 0.5).length`, "timeout out_of_memory"},
		{"many calls", `for (;;) await $.Deal.count()`, "too_many_calls timeout"},
		{"many calls at once", `for (;;) $.Deal.count()`, "too_many_calls timeout out_of_memory"},
		{"a stolen prelude", `Promise.prototype.then = () => { for (;;) {} }; JSON.parse = null; await $.Deal.count()`, "timeout script_error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var beside sync.WaitGroup
			beside.Go(func() {
				if got, err := s.run(t, `(await $.Deal.create({ name: 'beside' })).name`); err != nil || got != `"beside"` {
					t.Errorf("beside it: got %s, %v", got, err)
				}
			})
			deadline := 1500 * time.Millisecond
			if !strings.Contains(c.codes, "timeout") { // it ends by itself, on a busy machine later than that
				deadline = 0
			}
			_, err := s.box.Run(t.Context(), sandbox.Program{Source: c.source, Host: s.host, Timeout: deadline})
			var e *sandbox.Error
			if !errors.As(err, &e) || !strings.Contains(" "+c.codes+" ", " "+e.Code+" ") {
				t.Errorf("got %v, want %s", err, c.codes)
			}
			beside.Wait()
			if got, err := s.run(t, `40 + 2`); err != nil || got != "42" {
				t.Errorf("after it: got %s, %v", got, err)
			}
		})
	}
}

func TestATenantThatFillsItsShareLeavesRoomForOthers(t *testing.T) {
	s := start(t, func(c *sandbox.Config) { c.Parallel = 4 })
	other := &sandbox.GraphHost{Scope: s.other}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var loops sync.WaitGroup
	for range 6 {
		loops.Go(func() {
			_, _ = s.box.Run(ctx, sandbox.Program{Source: `for (;;) {}`, Host: s.host})
		})
	}
	for range 3 {
		if r, err := s.box.Run(t.Context(), sandbox.Program{Source: `6 * 7`, Host: other}); err != nil || string(r.Value) != "42" {
			t.Errorf("got %s, %v", r.Value, err)
		}
	}
	cancel()
	loops.Wait()
}

func TestALimitOnChangesCountsThemAndKeepsThem(t *testing.T) {
	s := start(t, func(c *sandbox.Config) { c.MaxWrites = 5 })
	r, err := s.box.Run(t.Context(), sandbox.Program{Source: `for (let i = 0; i < 10; i++) await $.Deal.create({ name: 'A' })`, Host: s.host})
	var e *sandbox.Error
	if !errors.As(err, &e) || e.Code != sandbox.CodeTooMany || r.Writes != 6 {
		t.Errorf("got %v, %d writes", err, r.Writes)
	}
	if got, err := s.run(t, `await $.Deal.count()`); err != nil || got != "5" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestAProgramFindsNoWayOut(t *testing.T) {
	s := start(t, nil)
	for _, name := range []string{"require", "std", "os", "Deno", "Bun", "__send", "__log", "XMLHttpRequest", "WebSocket", "Worker", "scriptArgs", "print", "load"} {
		if got, err := s.run(t, "typeof globalThis."+name); err != nil || got != `"undefined"` {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	// The engine's function constructors see no more than the program does.
	if got, err := s.run(t, `new Function('return typeof require + typeof __send')()`); err != nil || got != `"undefinedundefined"` {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestProgramsWaitForTheirTurnAndCloseWaitsForThem(t *testing.T) {
	s := start(t, func(c *sandbox.Config) { c.Parallel = 2 })
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if got, err := s.run(t, fmt.Sprintf(`await new Promise(r => setTimeout(r, 20)); %d`, i)); err != nil || got != fmt.Sprint(i) {
				t.Errorf("%d: got %s, %v", i, got, err)
			}
		})
	}
	all.Wait()
	s.box.Close()
	_, err := s.run(t, `1`)
	var e *sandbox.Error
	if !errors.As(err, &e) || e.Code != sandbox.CodeUnavailable {
		t.Errorf("after Close: got %v", err)
	}
}
