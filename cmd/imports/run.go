package imports

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A chunk is what is sent, settled and noted at once.
const (
	chunkRows  = 10_000
	chunkBytes = 4 << 20
)

// Gateway takes events. Its methods are called one at a time, and called again
// by nobody: what is worth another try, they try themselves.
type Gateway interface {
	// Known says which of the message ids, as the tables have them, are stored.
	Known(ctx context.Context, ids []string) (map[string]bool, error)
	// MessageID is what the tables call an event's messageId.
	MessageID(id string) string
	// Send makes events durable: one JSON object a line. Bad tells the refused
	// ones by their index.
	Send(ctx context.Context, lines [][]byte) (Sent, error)
}

// Sent is the gateway's answer to a chunk.
type Sent struct {
	Taken, Known int64
	Bad          map[int]*Fault
}

// Job is the import of one file.
type Job struct {
	Path    string
	Stdin   io.Reader
	Options Options
	Gateway Gateway // nil for a look at what would be sent
	// Tenant and Address tell imports of one file into several places apart.
	Tenant, Address string
	// StateDir keeps where the import stands; "" keeps nothing.
	StateDir string
	// BadRows is the file that bad rows are written to. An import that begins
	// anew keeps its first BadFrom bytes: the bad rows of files before this one.
	BadRows string
	BadFrom int64
	// Again begins anew where an earlier import was done.
	Again bool
	// Progress is told the share that is done, below 0 where nobody knows.
	Progress func(share float64)
	// Show is given each event as it would be sent, where there is no Gateway.
	Show func(line int64, event []byte, fault *Fault)
}

// Result is what became of a file.
type Result struct {
	Counts
	Before  bool // an earlier import had done it all
	Resumed int64
	BadTo   int64 // where in [Job.BadRows] its bad rows end
}

// chunk is what has been read and not yet settled.
type chunk struct {
	rows  int64
	bad   int64
	lines [][]byte
	ids   []string
	where []int64
	raws  [][]byte
	bytes int
}

// Run imports a file. After an error or the context's end the same call goes on
// where the last settled chunk ended.
func Run(ctx context.Context, j Job) (Result, error) {
	state := State{Tenant: j.Tenant, Gateway: j.Address, RejectedBytes: j.BadFrom}
	keep := j.StateDir != "" && j.Path != "-" && j.Gateway != nil
	var st store
	if keep {
		if err := describe(j.Path, j.Options, &state); err != nil {
			return Result{}, err
		}
		st = newStore(j.StateDir, &state)
		earlier, same, err := st.load(state)
		switch {
		case err != nil:
			return Result{}, err
		case same && earlier.Done && !j.Again:
			return Result{Counts: earlier.Counts, Before: true, BadTo: earlier.RejectedBytes}, nil
		case same && !earlier.Done:
			state = earlier
		}
	}
	src, err := Open(ctx, j.Path, j.Stdin, j.Options)
	if err != nil {
		return Result{}, err
	}
	r := &runner{Job: j, src: src, state: &state, bad: badRows{path: j.BadRows, at: state.RejectedBytes}}
	if keep {
		r.save = func() error { return st.save(&state) }
	}
	resumed := state.Rows
	err = r.run(ctx)
	return Result{Counts: state.Counts, Resumed: resumed, BadTo: state.RejectedBytes}, errors.Join(err, r.bad.close(), src.Close())
}

type runner struct {
	Job
	src   *Source
	state *State
	bad   badRows
	save  func() error
}

func (r *runner) run(ctx context.Context) error {
	for range r.state.Rows {
		if err := r.src.skip(); err != nil {
			return fmt.Errorf("the file ends before row %d, where the import had stopped: %w", r.state.Rows, err)
		}
	}
	for {
		c, end, err := r.read(ctx)
		if err != nil {
			return err
		}
		if err := r.settle(ctx, c); err != nil {
			return err
		}
		r.state.Done = end
		r.state.RejectedBytes = r.bad.at
		if r.save != nil {
			if err := r.save(); err != nil {
				return fmt.Errorf("note where the import stands: %w", err)
			}
		}
		if end {
			return nil
		}
		if s := r.state; s.Bad == s.Rows {
			return fmt.Errorf("none of the first %d rows can be taken; %s says why", s.Rows, r.BadRows)
		}
	}
}

// read gathers a chunk. Bad rows are kept aside at once.
func (r *runner) read(ctx context.Context) (c chunk, end bool, err error) {
	for c.rows < chunkRows && c.bytes < chunkBytes {
		if c.rows%256 == 0 {
			if err := context.Cause(ctx); err != nil {
				return c, false, err
			}
			if r.Progress != nil {
				r.Progress(r.src.Share())
			}
		}
		row, err := r.src.Next()
		if errors.Is(err, io.EOF) {
			return c, true, nil
		}
		if err != nil {
			return c, false, fmt.Errorf("%s: %w", r.Path, err)
		}
		c.rows++
		var line []byte
		if row.Fault == nil {
			if line, err = json.Marshal(row.Event); err != nil {
				row.Fault = faultf("invalid_json", "", "%v", err)
			}
		}
		if r.Gateway == nil {
			if r.Show != nil {
				r.Show(row.Line, line, row.Fault)
			}
			c.count(row.Fault)
			continue
		}
		if row.Fault != nil {
			c.count(row.Fault)
			if err := r.bad.add(row.Line, row.Fault, row.Raw); err != nil {
				return c, false, err
			}
			continue
		}
		c.lines = append(c.lines, line)
		c.ids = append(c.ids, r.Gateway.MessageID(word(row.Event["messageId"])))
		c.where = append(c.where, row.Line)
		c.raws = append(c.raws, bytes.Clone(row.Raw))
		c.bytes += len(line)
	}
	return c, false, nil
}

// count counts a row that is not sent.
func (c *chunk) count(fault *Fault) {
	if fault != nil {
		c.bad++
	}
}

// settle sends a chunk and counts what became of it.
func (r *runner) settle(ctx context.Context, c chunk) error {
	if len(c.lines) == 0 {
		r.state.Rows += c.rows
		r.state.Bad += c.bad
		r.state.Taken += c.rows - c.bad // none, but in a look at what would be sent
		return nil
	}
	known, err := r.Gateway.Known(ctx, c.ids)
	if err != nil {
		return err
	}
	var lines [][]byte
	var at []int
	for i, id := range c.ids {
		if !known[id] {
			lines, at = append(lines, c.lines[i]), append(at, i)
		}
	}
	var sent Sent
	if len(lines) > 0 {
		if sent, err = r.Gateway.Send(ctx, lines); err != nil {
			return err
		}
	}
	before := int64(len(c.lines) - len(lines))
	if n := sent.Taken + sent.Known + int64(len(sent.Bad)); n != int64(len(lines)) {
		return fmt.Errorf("the gateway told of %d rows out of %d", n, len(lines))
	}
	refused := make([]int, 0, len(sent.Bad))
	for i := range sent.Bad {
		refused = append(refused, i)
	}
	slices.Sort(refused)
	for _, i := range refused {
		if err := r.bad.add(c.where[at[i]], sent.Bad[i], c.raws[at[i]]); err != nil {
			return err
		}
	}
	r.state.Rows += c.rows
	r.state.Taken += sent.Taken
	r.state.Known += before + sent.Known
	r.state.Bad += c.bad + int64(len(sent.Bad))
	return nil
}
