package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/sandbox/internal/wire"
)

// conversation is one program's run, seen from the parent.
type conversation struct {
	s      *Sandbox
	host   Host
	result *Result

	mu      sync.Mutex // of writing to the worker
	console int        // bytes taken
}

// Bounds of what a worker may say, should the program have taken it over.
const (
	maxLine    = 4 << 20
	underway   = 8 // calls at the same time
	maxConsole = 2000
)

// errNotBegun means that the worker died before it had read the program.
var errNotBegun = errors.New("the worker did not begin")

// hold runs the program in a worker, which does not survive it.
func (c *conversation) hold(ctx context.Context, p *process, req wire.Request) (err error) {
	defer p.kill()
	defer context.AfterFunc(ctx, p.kill)()
	ctx, cancel := context.WithCancel(ctx)
	var calls sync.WaitGroup
	defer func() {
		cancel()
		p.kill() // a call's answer may wait to be read
		calls.Wait()
	}()
	line, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("encode program: %w", err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return errNotBegun
	}
	began := false
	slots := make(chan struct{}, underway)
	for {
		up, err := readLine(p.out)
		switch {
		case err != nil && !began && ctx.Err() == nil:
			return errNotBegun
		case err != nil:
			return c.died(ctx, p, err)
		case up.Began:
			began = true
		case up.Log != nil:
			c.log(up.Log)
		case up.Call != nil:
			if err := c.count(up.Call.Method); err != nil {
				return err
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			calls.Go(func() {
				defer func() { <-slots }()
				c.answer(ctx, p, up.Call)
			})
		case up.Done != nil:
			return c.ended(up.Done)
		}
	}
}

// readLine reads one line of the worker.
func readLine(r *bufio.Reader) (up wire.Up, err error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return up, err
		}
		if len(line) > maxLine {
			return up, errors.New("the worker's line is too long")
		}
	}
	err = json.Unmarshal(line, &up)
	return up, err
}

// died explains a worker's end.
func (c *conversation) died(ctx context.Context, p *process, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.kill()
	noise := p.noise.String()
	c.s.cfg.Logger.Warn("sandbox.worker_died", slog.Any("error", cause), slog.String("state", p.cmd.ProcessState.String()), slog.String("stderr", noise))
	if errors.Is(cause, io.EOF) && (strings.Contains(noise, "out of memory") || strings.Contains(noise, "cannot allocate")) {
		return &Error{Code: CodeMemory, Message: "the program needed more memory than it may have and was stopped"}
	}
	return &Error{Code: CodeCrashed, Message: "the program's process died; what it had changed until then stands"}
}

// count takes a call into account.
func (c *conversation) count(method string) error {
	c.result.Calls++
	if c.host.Writes(method) {
		c.result.Writes++
	}
	switch {
	case c.result.Calls > c.s.cfg.MaxCalls:
		return &Error{Code: CodeTooMany, Message: fmt.Sprintf("the program made more than %d calls and was stopped; find more at once (limit up to %d), or run it in parts", c.s.cfg.MaxCalls, graph.MaxLimit)}
	case c.result.Writes > c.s.cfg.MaxWrites:
		return &Error{Code: CodeTooMany, Message: fmt.Sprintf("the program made more than %d changes and was stopped; those made stand: run the rest in another program, or use an import", c.s.cfg.MaxWrites)}
	}
	return nil
}

// log keeps a line of the console, within the limits that the worker keeps too.
func (c *conversation) log(l *wire.Log) {
	if c.console += len(l.Text); c.console > 2*c.s.cfg.ConsoleBytes || len(c.result.Console) >= maxConsole {
		return
	}
	c.result.Console = append(c.result.Console, Line{Level: l.Level, Text: l.Text})
}

// answer has the host answer one call.
func (c *conversation) answer(ctx context.Context, p *process, call *wire.Call) {
	d := wire.Down{ID: call.ID}
	v, err := c.host.Call(ctx, call.Method, call.Args)
	if err == nil && v != nil {
		d.Value, err = json.Marshal(v)
	}
	if err != nil {
		var known *graph.Error
		if !errors.As(err, &known) {
			known = &graph.Error{Code: graph.CodeInternal, Message: "the gateway has a fault; its log says more"}
			if ctx.Err() == nil {
				c.s.cfg.Logger.Error("sandbox.call", slog.String("method", call.Method), slog.Any("error", err))
			}
		}
		d.Value = nil
		if d.Error, err = json.Marshal(known); err != nil {
			return
		}
	}
	line, err := json.Marshal(d)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = p.in.Write(append(line, '\n')) // the reader of its lines sees a dead worker
}

// ended takes the program's last line.
func (c *conversation) ended(d *wire.Done) error {
	c.result.Value, c.result.Patch, c.result.Operations = d.Value, d.Patch, d.Operations
	if e := d.Error; e != nil {
		return &Error{Code: e.Code, Name: e.Name, Message: e.Message, Field: e.Field, Type: e.Type, ID: e.ID, Details: e.Details, Line: e.Line, Column: e.Column}
	}
	return nil
}
