// Package worker is the process that runs one program of a user's: it takes the
// types off, runs the JavaScript in QuickJS and passes its calls to the
// parent. It knows no tenant's data, no secret, no network and no file; [Main]
// gives up what the system lets a process give up before it looks at the
// program.
package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/headlessly/headlessly/connectors/sandbox/internal/wire"
)

// maxLine bounds a line of the parent: the program, or the answer to a call.
const maxLine = 16 << 20

// Main runs one program. What is wrong with it goes to the parent as the last
// line; an error means that the parent could not be answered.
func Main(_ context.Context, in io.Reader, out io.Writer) error {
	w := &up{enc: json.NewEncoder(out)}
	w.enc.SetEscapeHTML(false)
	if err := w.send(wire.Up{Ready: true}); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	if !lines.Scan() {
		return lines.Err() // the parent has no work any more
	}
	var req wire.Request
	if err := json.Unmarshal(lines.Bytes(), &req); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	if err := confine(req.Limits); err != nil {
		return w.send(wire.Up{Done: &wire.Done{Error: &wire.Error{Code: wire.CodeUnavailable, Message: err.Error()}}})
	}
	if err := w.send(wire.Up{Began: true}); err != nil {
		return err
	}
	done := run(&req, w, follow(lines))
	return w.send(wire.Up{Done: done})
}

// up writes lines to the parent; one goroutine uses it.
type up struct{ enc *json.Encoder }

func (w *up) send(u wire.Up) error {
	if err := w.enc.Encode(u); err != nil {
		return fmt.Errorf("write to the parent: %w", err)
	}
	return nil
}

// follow reads the answers to calls. The channel is closed when the parent is
// gone.
func follow(lines *bufio.Scanner) <-chan wire.Down {
	answers := make(chan wire.Down)
	go func() {
		defer close(answers)
		for lines.Scan() {
			var d wire.Down
			if json.Unmarshal(lines.Bytes(), &d) != nil {
				return
			}
			answers <- d
		}
	}()
	return answers
}

// run compiles and runs the program.
func run(req *wire.Request, w *up, answers <-chan wire.Down) (done *wire.Done) {
	compile := handler
	if req.Kind == wire.KindScript {
		compile = script
	}
	code, fault := compile(req.Source)
	if fault != nil {
		return &wire.Done{Error: fault}
	}
	e, err := newEngine(req, w)
	if e.meter != nil {
		defer func() { done.Operations = e.meter.operations() }()
	}
	if err == nil {
		err = e.start(code)
	}
	if err == nil && req.Kind != wire.KindCheck {
		err = e.loop(answers)
	}
	switch {
	case err != nil:
		return &wire.Done{Error: e.explain(err)}
	case req.Kind == wire.KindCheck:
		return &wire.Done{}
	}
	return e.finish()
}

// errParentGone means that nobody waits for the program any more.
var errParentGone = errors.New("the parent is gone")

// loop runs the program until it has ended: jobs, then answers to its calls or
// its timers.
func (e *engine) loop(answers <-chan wire.Down) error {
	for {
		if err := e.jobs(); err != nil {
			return err
		}
		state, err := e.text("state")
		if err != nil {
			return err
		}
		switch state {
		case "ended":
			return nil
		case "stuck":
			return &wireError{wire.Error{Code: wire.CodeThrew, Message: "the program waits for something that never happens"}}
		}
		var timer <-chan time.Time
		wait, err := e.number("next")
		if err != nil {
			return err
		}
		if wait < 1e9 {
			timer = time.After(time.Duration(wait * float64(time.Millisecond)))
		}
		began := time.Now() //nolint:forbidigo // measures a wait, tells no time
		var d *wire.Down
		select {
		case a, ok := <-answers:
			if !ok {
				return errParentGone
			}
			d = &a
		case <-timer:
		}
		if err := e.call("tick", float64(time.Since(began).Milliseconds())+0.5); err != nil {
			return err
		}
		if d != nil {
			if err := e.settle(*d); err != nil {
				return err
			}
		}
	}
}
