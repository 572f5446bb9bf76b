package sqlworker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/headlessly/headlessly/lakehouse/internal/wire"
)

// Main reads one request from in, runs it and writes the replies to out. What
// is wrong with the query goes to the parent as a reply; an error means that
// the parent could not be answered. ctx's end interrupts the query. The database
// is opened before the request comes: the parent plans meanwhile, or waits for
// its next query.
func Main(ctx context.Context, in io.Reader, out io.Writer) error {
	answer := &answerer{enc: json.NewEncoder(out)}
	s, opening := open()
	if opening == nil {
		defer s.close()
	}
	var req wire.Request
	if err := json.NewDecoder(in).Decode(&req); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	answer.progress(0)
	err := opening
	if err == nil {
		err = confine(req)
	}
	if err != nil {
		return answer.send(wire.Reply{Error: &wire.Error{Code: wire.CodeFailed, Message: err.Error()}})
	}
	done, fault := s.run(ctx, req, answer.progress)
	if fault != nil {
		return answer.send(wire.Reply{Error: fault})
	}
	return answer.send(wire.Reply{Done: done})
}

// answerer writes replies from two goroutines.
type answerer struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func (a *answerer) send(r wire.Reply) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.enc.Encode(r); err != nil {
		return fmt.Errorf("write reply: %w", err)
	}
	return nil
}

func (a *answerer) progress(share float64) { _ = a.send(wire.Reply{Progress: &share}) } // the final reply tells when nobody listens
