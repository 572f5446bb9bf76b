package worker

import (
	_ "embed" // for the prelude
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"modernc.org/quickjs"

	"github.com/headlessly/headlessly/connectors/sandbox/internal/wire"
)

//go:embed prelude.js
var prelude string

// evalAsync is QuickJS's JS_EVAL_FLAG_ASYNC: the script may await, and its
// evaluation gives a promise of {value: the last expression's value}.
const evalAsync = 1 << 7

// engine is the program's JavaScript world.
type engine struct {
	req     *wire.Request
	w       *up
	vm      *quickjs.VM
	meter   *meter
	program quickjs.Value // what the prelude gives
	atoms   map[string]quickjs.Atom
	console int // bytes left
}

func newEngine(req *wire.Request, w *up) (*engine, error) {
	e := &engine{req: req, w: w, atoms: map[string]quickjs.Atom{}, console: req.Limits.ConsoleBytes}
	var err error
	if e.vm, err = quickjs.NewVM(); err != nil {
		return e, fmt.Errorf("start the engine: %w", err)
	}
	e.vm.SetMemoryLimit(uintptr(req.Limits.MemoryBytes))
	timeout := time.Duration(req.Limits.TimeoutMs) * time.Millisecond
	if err := e.vm.SetEvalTimeout(timeout); err != nil {
		return e, err
	}
	var known bool
	if e.meter, known = newMeter(e.vm, req.Limits.Operations, time.Now().Add(timeout)); !known { //nolint:forbidigo // measures how long the program runs, tells no time
		return e, errors.New("the engine is not of the version that its meter knows")
	}
	if err := e.vm.RegisterFunc("__send", e.send, false); err != nil {
		return e, err
	}
	if err := e.vm.RegisterFunc("__log", e.log, false); err != nil {
		return e, err
	}
	config, err := json.Marshal(map[string]any{"types": req.Types, "tenant": req.Tenant})
	if err != nil {
		return e, err
	}
	// The two functions are the prelude's alone.
	code := strings.TrimSuffix(strings.TrimSpace(prelude), ";") + "(" + string(config) + ", __send, __log)"
	if e.program, err = e.vm.EvalValue(code, quickjs.EvalGlobal); err != nil {
		return e, err
	}
	_, err = e.vm.Eval("delete globalThis.__send; delete globalThis.__log", quickjs.EvalGlobal)
	return e, err
}

// send passes a call to the parent.
func (e *engine) send(id int, method, args string) error {
	return e.w.send(wire.Up{Call: &wire.Call{ID: int64(id), Method: method, Args: json.RawMessage(args)}})
}

// log passes what the program wrote to its console, up to a limit.
func (e *engine) log(level, text string) {
	if e.console <= 0 {
		return
	}
	if e.console -= len(text) + 1; e.console <= 0 {
		text = strings.ToValidUTF8(text[:max(0, len(text)+e.console)], "") + "… (the console takes no more)"
	}
	_ = e.w.send(wire.Up{Log: &wire.Log{Level: level, Text: text}}) // the last line tells when nobody listens
}

// start begins the program.
func (e *engine) start(code string) error {
	if e.req.Kind == wire.KindScript {
		completion, err := e.vm.EvalValue(code+"\n//# sourceURL="+file, quickjs.EvalGlobal|evalAsync)
		if err != nil {
			return err
		}
		defer completion.Free()
		return e.call("script", completion)
	}
	if _, err := e.vm.Eval(code, quickjs.EvalGlobal); err != nil {
		return err
	}
	f, err := e.vm.EvalValue(global+".default", quickjs.EvalGlobal)
	if err != nil {
		return err
	}
	defer f.Free()
	kind, err := e.vm.Eval("typeof "+global+".default", quickjs.EvalGlobal)
	if err != nil {
		return err
	}
	if kind != "function" {
		return &wireError{wire.Error{Code: wire.CodeSyntax, Name: "SyntaxError", Message: "a handler is a function, such as (entity, $) => { … }, or a module that exports one as its default; this is neither"}}
	}
	if e.req.Kind == wire.KindCheck {
		return nil
	}
	return e.call("handler", f, string(e.req.Draft), string(e.req.Event))
}

// method gives a function of the prelude.
func (e *engine) method(name string) (quickjs.Value, error) {
	atom, ok := e.atoms[name]
	if !ok {
		var err error
		if atom, err = e.vm.NewAtom(name); err != nil {
			return quickjs.Value{}, err
		}
		e.atoms[name] = atom
	}
	return e.program.GetPropertyValue(atom)
}

func (e *engine) ask(name string, args ...any) (any, error) {
	f, err := e.method(name)
	if err != nil {
		return nil, err
	}
	defer f.Free()
	return f.Call(quickjs.UndefinedValue, args...)
}

func (e *engine) call(name string, args ...any) error {
	_, err := e.ask(name, args...)
	return err
}

func (e *engine) text(name string, args ...any) (string, error) {
	v, err := e.ask(name, args...)
	s, _ := v.(string)
	return s, err
}

func (e *engine) number(name string) (float64, error) {
	v, err := e.ask(name)
	switch v := v.(type) {
	case float64:
		return v, err
	case int:
		return float64(v), err
	}
	return 0, err
}

// jobsAtOnce is after how many jobs the engine stops to say that there are more.
const jobsAtOnce = 1 << 20

// jobs runs what promises have made ready, until there is nothing more or the
// program is stopped.
func (e *engine) jobs() error {
	for {
		n, err := e.vm.ExecutePendingJobs()
		var js *quickjs.Error
		if n >= jobsAtOnce && !errors.As(err, &js) {
			continue // many are no fault; what bounds them is the meter
		}
		if err != nil || n == 0 {
			return err
		}
	}
}

// settle hands an answer to the call that waits for it.
func (e *engine) settle(d wire.Down) error {
	if len(d.Error) > 0 {
		return e.call("settle", float64(d.ID), false, string(d.Error))
	}
	return e.call("settle", float64(d.ID), true, string(d.Value))
}

// finish gives the program's result.
func (e *engine) finish() *wire.Done {
	text, err := e.text("finish")
	if err != nil {
		fault := e.explain(err)
		if fault.Code == wire.CodeThrew {
			fault.Message = "the result cannot be written as JSON: " + fault.Message
		}
		return &wire.Done{Error: fault}
	}
	if len(text) > e.req.Limits.ResultBytes {
		return &wire.Done{Error: &wire.Error{Code: wire.CodeTooLarge, Message: fmt.Sprintf("the result has %d bytes, %d are taken: give back less, such as a count or fewer fields", len(text), e.req.Limits.ResultBytes)}}
	}
	var done wire.Done
	if err := json.Unmarshal([]byte(text), &done); err != nil {
		return &wire.Done{Error: &wire.Error{Code: wire.CodeThrew, Message: "the result is no JSON"}}
	}
	if done.Error != nil {
		e.limits(done.Error)
	}
	return &done
}

// wireError is a fault that is known in the parent's terms.
type wireError struct{ fault wire.Error }

func (e *wireError) Error() string { return e.fault.Message }

// explain turns an error of the engine into the parent's terms.
func (e *engine) explain(err error) *wire.Error {
	var known *wireError
	if errors.As(err, &known) {
		return &known.fault
	}
	out := &wire.Error{Code: wire.CodeThrew, Message: err.Error()}
	var js *quickjs.Error
	if errors.As(err, &js) {
		out.Name = js.Name
		if js.Message != "" {
			out.Message = js.Message
		}
	}
	if out.Name == "SyntaxError" {
		out.Code = wire.CodeSyntax
	}
	e.limits(out)
	return out
}

// nothing is what the engine throws when there is no memory left even for an
// error: null.
const nothing = "null"

// limits gives the engine's own refusals their codes.
func (e *engine) limits(out *wire.Error) {
	switch {
	case out.Message == nothing && e.meter != nil && e.meter.outOfMemory:
		out.Name = ""
		e.tooMuchMemory(out)
	case out.Name != "InternalError" && out.Name != "":
	case strings.Contains(out.Message, "interrupted") && e.meter != nil && e.meter.tooMany:
		out.Code, out.Message = wire.CodeOperations, fmt.Sprintf("the program did more than %d operations (calls of functions and turns of loops) and was stopped; run it in parts", e.req.Limits.Operations)
	case strings.Contains(out.Message, "interrupted"):
		out.Code, out.Message = wire.CodeTimeout, fmt.Sprintf("the program ran longer than %d ms and was stopped", e.req.Limits.TimeoutMs)
	case strings.Contains(out.Message, "out of memory"):
		e.tooMuchMemory(out)
	}
}

func (e *engine) tooMuchMemory(out *wire.Error) {
	out.Code, out.Message = wire.CodeMemory, fmt.Sprintf("the program needed more than %d MiB of memory and was stopped", e.req.Limits.MemoryBytes>>20)
}
