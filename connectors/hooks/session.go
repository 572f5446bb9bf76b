package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
)

// session is one client's connection.
type session struct {
	s      *Server
	ws     *websocket.Conn
	tenant string
	key    headlessly.Secret
	caller Caller // without an actor before it is known
	client string

	commands chan incoming // register and unregister, done one after the other
	done     chan struct{} // closed once nothing of the session runs any more

	mu    sync.Mutex
	hooks map[string]*hook
	calls map[string]chan graph.BeforeAnswer // of before hooks, by callId
	count uint64                             // of calls
}

func newSession(s *Server, ws *websocket.Conn, tenant, key string, caller Caller) *session {
	return &session{
		s: s, ws: ws, tenant: tenant, key: headlessly.NewSecret(key), caller: caller,
		commands: make(chan incoming, 64), done: make(chan struct{}), hooks: map[string]*hook{}, calls: map[string]chan graph.BeforeAnswer{},
	}
}

// end closes the connection; its goroutines follow.
func (c *session) end(code websocket.StatusCode, reason string) { _ = c.ws.Close(code, reason) }

// refuse says why and ends the connection.
func (c *session) refuse(code websocket.StatusCode, e *graph.Error) {
	_ = c.send(context.Background(), fault{Type: "error", Error: e})
	c.end(code, string(e.Code))
}

// send writes one message. A client that does not take it in time is dropped.
func (c *session) send(ctx context.Context, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write a message: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin) // a context that ends in the middle would end the connection
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, raw)
}

// run serves the client until the connection ends.
func (c *session) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer func() {
		cancel()
		_ = c.ws.CloseNow()
		parts.Wait()
		c.stopAll()
		c.s.remove(c)
		close(c.done)
	}()
	if !c.hello(ctx) {
		return
	}
	parts.Go(func() { c.work(ctx) })
	parts.Go(func() { c.look(ctx) })
	for {
		m, err := c.read(ctx)
		if err == nil {
			err = c.take(ctx, m)
		}
		var refused *protocolError
		switch {
		case errors.As(err, &refused):
			c.refuse(closeProtocol, &graph.Error{Code: graph.CodeInvalidJSON, Message: refused.text}) //nolint:contextcheck // a farewell is sent even when ctx has ended
			return
		case err != nil:
			return
		}
	}
}

// protocolError is a message that is not of the protocol.
type protocolError struct{ text string }

func (e *protocolError) Error() string { return e.text }

func (c *session) read(ctx context.Context) (m incoming, err error) {
	kind, raw, err := c.ws.Read(ctx)
	if err != nil {
		return m, err
	}
	if kind != websocket.MessageText {
		return m, &protocolError{"messages are JSON texts, not binary"}
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, &protocolError{"a message is one JSON object: " + err.Error()}
	}
	return m, nil
}

var clientName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// hello reads the first message and says welcome.
func (c *session) hello(ctx context.Context) bool {
	wait, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(c.s.cfg.HelloWithin, func() { //nolint:contextcheck // a farewell is sent even when ctx has ended
		c.refuse(closeProtocol, &graph.Error{Code: graph.CodeInvalidJSON, Message: "no hello came in time"})
	})
	m, err := c.read(wait)
	late.Stop()
	var refused *protocolError
	switch {
	case errors.As(err, &refused):
	case err != nil:
		return false
	case m.Type != "hello" || m.Version != version:
		refused = &protocolError{`the first message is {"type":"hello","version":1,…}`}
	case !clientName.MatchString(m.Client):
		refused = &protocolError{"hello.client: want 1 to 64 letters, digits, hyphens and underscores"}
	}
	if refused != nil {
		c.refuse(closeProtocol, &graph.Error{Code: graph.CodeInvalidJSON, Message: refused.text}) //nolint:contextcheck // a farewell is sent even when ctx has ended
		return false
	}
	if c.caller.Actor == "" {
		if c.caller, err = c.s.cfg.Authenticate(c.tenant, m.Key); err != nil {
			c.refuseKey(err) //nolint:contextcheck // a farewell is sent even when ctx has ended
			return false
		}
		c.key = headlessly.NewSecret(m.Key)
	}
	c.client = m.Client
	c.s.takeOver(ctx, c)
	return c.send(ctx, welcome{Type: "welcome", Version: version, Tenant: c.tenant, Actor: c.caller.Actor, PingMs: c.s.cfg.PingEvery.Milliseconds(), MaxBytes: maxMessage}) == nil
}

func (c *session) refuseKey(err error) {
	e := asError(err)
	code := closeUnauthorized
	switch e.Code {
	case graph.CodeForbidden:
		code = closeForbidden
	case graph.CodeNotFound:
		code = closeNoTenant
	}
	c.refuse(code, e)
}

// allowed says whether the key still works, and ends the connection if not.
func (c *session) allowed() bool {
	if _, err := c.s.cfg.Authenticate(c.tenant, c.key.Reveal()); err != nil {
		go c.refuseKey(err) // it waits for the client's farewell
		return false
	}
	return true
}

// look pings the client and looks after its key.
func (c *session) look(ctx context.Context) {
	tick := time.NewTicker(c.s.cfg.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		wait, cancel := context.WithTimeout(ctx, c.s.cfg.PingEvery)
		err := c.ws.Ping(wait)
		cancel()
		if err != nil {
			_ = c.ws.CloseNow()
			return
		}
		if !c.allowed() { //nolint:contextcheck // a farewell is sent even when ctx has ended
			return
		}
	}
}

// take handles one message. Its error ends the connection.
func (c *session) take(ctx context.Context, m incoming) error {
	switch m.Type {
	case "ping":
		return c.send(ctx, pong{"pong"})
	case "register", "unregister":
		select {
		case c.commands <- m:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	case "answer":
		return c.answered(ctx, m)
	case "ack", "nack":
		c.settled(m)
		return nil
	}
	return &protocolError{fmt.Sprintf("unknown message type %q; known are register, unregister, answer, ack, nack, ping", m.Type)}
}

// work does registrations in their order, while acknowledgements and answers
// go on being read.
func (c *session) work(ctx context.Context) {
	for {
		select {
		case m := <-c.commands:
			f := c.register
			if m.Type == "unregister" {
				f = c.unregister
			}
			err := f(ctx, m)
			if err != nil && ctx.Err() == nil {
				if e := asError(err); e.Code == graph.CodeInternal {
					c.s.cfg.Logger.Error("hooks.fault", slog.Any("error", err))
				}
				err = c.send(ctx, fault{Type: "error", ID: m.ID, Error: asError(err)})
			}
			if err != nil {
				_ = c.ws.CloseNow()
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// answered hands an answer to the call that waits for it.
func (c *session) answered(ctx context.Context, m incoming) error {
	a, err := m.answer()
	if err != nil {
		return c.send(ctx, fault{Type: "error", CallID: m.CallID, Error: asError(err)})
	}
	c.mu.Lock()
	waiting := c.calls[m.CallID]
	delete(c.calls, m.CallID)
	c.mu.Unlock()
	if waiting != nil {
		waiting <- a // it has room for one
	}
	return nil // an answer that comes too late is dropped
}

// maxReason bounds the message of a veto or a nack, in bytes.
const maxReason = 8000

func short(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxReason)], "") }

func (m *incoming) answer() (a graph.BeforeAnswer, err error) {
	switch {
	case m.Veto != nil && m.Patch != nil:
		return a, &graph.Error{Code: graph.CodeValidation, Field: "veto", Message: "veto: an answer has a patch or a veto, not both"}
	case m.Veto != nil:
		if a.Veto = *m.Veto; a.Veto == "" {
			a.Veto = "a before hook refused this without saying why"
		}
		a.Veto = short(a.Veto)
		return a, nil
	}
	a.Patch = make(map[string]any, len(m.Patch))
	for k, raw := range m.Patch {
		var v any
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			return a, &graph.Error{Code: graph.CodeValidation, Field: k, Message: k + ": " + err.Error()}
		}
		a.Patch[k] = v
	}
	return a, nil
}

// call asks the client about a mutation and waits for its answer.
func (c *session) call(ctx context.Context, id string, b *graph.BeforeCall) graph.BeforeAnswer {
	if !c.allowed() { //nolint:contextcheck // a farewell is sent even when ctx has ended
		return graph.BeforeAnswer{Absent: true}
	}
	answer := make(chan graph.BeforeAnswer, 1)
	c.mu.Lock()
	c.count++
	call := "c" + strconv.FormatUint(c.count, 10)
	c.calls[call] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.calls, call)
		c.mu.Unlock()
	}()
	if until, ok := ctx.Deadline(); ok {
		b.Deadline = time.Until(until).Milliseconds()
	}
	if err := c.send(ctx, before{Type: "before", ID: id, CallID: call, BeforeCall: b}); err != nil {
		return graph.BeforeAnswer{Absent: true}
	}
	select {
	case a := <-answer:
		return a
	case <-ctx.Done():
		return graph.BeforeAnswer{Absent: true}
	}
}
