package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/spf13/cobra"
)

// Bounds of the bridge.
const (
	maxAgentLine = 4 << 20
	agentCalls   = 16 // requests of the agent under way
)

func mcpCommand(stdio IO) *cobra.Command {
	var t target
	c := &cobra.Command{
		Use:   "mcp",
		Short: "Let an agent use the gateway over MCP (standard input and output)",
		Long: `Speak the Model Context Protocol on standard input and output, for agents that
start their servers themselves. Every message is handed on to the gateway, which
answers the same at /~TENANT/mcp for agents that speak HTTP. The key is a secret
key (HEADLESSLY_API_KEY); its scopes bound what the agent may do.`,
		Example: `  headlessly mcp
  HEADLESSLY_URL=https://control.example.com HEADLESSLY_TENANT=acme HEADLESSLY_API_KEY=… headlessly mcp

  In an agent's configuration:
  {"mcpServers":{"headlessly":{"command":"headlessly","args":["mcp"]}}}`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := t.resolve(); err != nil {
				return err
			}
			b := &bridge{t: &t, out: stdio.Out}
			return b.run(c.Context(), stdio.In)
		},
	}
	t.flags(c)
	return c
}

// bridge hands an agent's messages on to the gateway.
type bridge struct {
	t *target

	mu      sync.Mutex // of out and version
	out     io.Writer
	version string // of the protocol, once it is agreed
}

// run hands messages on until the input ends, then waits for their answers.
func (b *bridge) run(ctx context.Context, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxAgentLine)
	slots := make(chan struct{}, agentCalls)
	var calls sync.WaitGroup
	defer calls.Wait()
	for lines.Scan() {
		line := bytes.Clone(bytes.TrimSpace(lines.Bytes()))
		if len(line) == 0 {
			continue
		}
		var m struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
		}
		if json.Unmarshal(line, &m) == nil && m.Method == "initialize" { // what follows needs its answer
			b.pass(ctx, line, m.ID)
			continue
		}
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			b.pass(ctx, line, m.ID)
		})
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the agent's messages: %w", err)
	}
	return nil
}

// pass hands one message on and writes its answers. A fault answers the
// message's id, where it has one.
func (b *bridge) pass(ctx context.Context, line, id []byte) {
	err := b.post(ctx, line)
	if err == nil || len(id) == 0 {
		return
	}
	message := err.Error()
	var r *refusal
	if errors.As(err, &r) {
		message = r.Message
	}
	raw, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": json.RawMessage(id), "error": map[string]any{"code": -32000, "message": message}})
	if err == nil {
		b.write(raw)
	}
}

// post sends one message to the gateway and writes what it answers: a message,
// a stream of them, or nothing.
func (b *bridge) post(ctx context.Context, line []byte) error {
	headers := map[string]string{"Accept": "application/json, text/event-stream"}
	b.mu.Lock()
	if b.version != "" {
		headers["Mcp-Protocol-Version"] = b.version
	}
	b.mu.Unlock()
	res, err := b.t.send(ctx, http.MethodPost, "mcp", "application/json", bytes.NewReader(line), headers)
	if err != nil {
		return err
	}
	defer res.Close() //nolint:errcheck // read whole
	lines := bufio.NewScanner(res)
	lines.Buffer(nil, maxAgentLine)
	for lines.Scan() {
		raw := bytes.TrimSpace(lines.Bytes())
		if data, ok := bytes.CutPrefix(raw, []byte("data:")); ok { // of a stream
			raw = bytes.TrimSpace(data)
		}
		if len(raw) > 0 && raw[0] == '{' {
			b.write(raw)
		}
	}
	return lines.Err()
}

// write writes one message as one line, and notes the version that was agreed.
func (b *bridge) write(raw []byte) {
	var line bytes.Buffer
	if json.Compact(&line, raw) != nil {
		return // no message
	}
	var m struct {
		Result struct {
			ProtocolVersion string `json:"protocolVersion"`
		} `json:"result"`
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if json.Unmarshal(line.Bytes(), &m) == nil && m.Result.ProtocolVersion != "" {
		b.version = m.Result.ProtocolVersion
	}
	line.WriteByte('\n')
	_, _ = b.out.Write(line.Bytes()) // the agent is gone when this fails, and the input ends
}
