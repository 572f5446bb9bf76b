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
	"strings"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly/connectors/graph"
)

// toolError is a tool's own refusal, as an agent reads it.
type toolError struct{ text string }

func (e *toolError) Error() string { return e.text }

// tool calls one of the gateway's MCP tools and gives its answer: what an agent
// gets for the same call.
func (t *target) tool(ctx context.Context, name string, arguments map[string]any) (any, error) {
	raw, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": map[string]any{"name": name, "arguments": arguments}})
	if err != nil {
		return nil, err
	}
	headers := map[string]string{"Accept": "application/json, text/event-stream"}
	res, err := t.send(ctx, http.MethodPost, "mcp", "application/json", bytes.NewReader(raw), headers)
	if err != nil {
		return nil, err
	}
	defer res.Close() //nolint:errcheck // read whole
	var answer struct {
		Result struct {
			Content []struct {
				Text string `json:"text"`
			} `json:"content"`
			Structured json.RawMessage `json:"structuredContent"`
			IsError    bool            `json:"isError"`
		} `json:"result"`
		Error *struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := lastMessage(res, &answer); err != nil {
		return nil, err
	}
	text := ""
	for _, c := range answer.Result.Content {
		text += c.Text
	}
	switch {
	case answer.Error != nil:
		return nil, &toolError{answer.Error.Message}
	case answer.Result.IsError:
		return nil, &toolError{refused(text)}
	}
	for _, form := range [][]byte{answer.Result.Structured, []byte(text)} {
		dec := json.NewDecoder(bytes.NewReader(form))
		dec.UseNumber()
		var v any
		if len(form) > 0 && dec.Decode(&v) == nil {
			return v, nil
		}
	}
	return text, nil
}

// refused is the message of REST's error body, where a refusal is one.
func refused(text string) string {
	var r refusal
	if json.Unmarshal([]byte(text), &r) == nil && r.Message != "" {
		return r.Error()
	}
	return text
}

// lastMessage decodes a JSON answer, or the last of a stream of them.
func lastMessage(r io.Reader, into any) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxAgentLine)
	var last []byte
	for lines.Scan() {
		raw := bytes.TrimSpace(lines.Bytes())
		if data, ok := bytes.CutPrefix(raw, []byte("data:")); ok {
			raw = bytes.TrimSpace(data)
		}
		if len(raw) > 0 && raw[0] == '{' {
			last = bytes.Clone(raw)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if last == nil {
		return errors.New("the gateway's answer is empty")
	}
	return json.Unmarshal(last, into)
}

// formats are the flags of an answer's format.
func formatFlags(c *cobra.Command, in *input) {
	c.Flags().BoolVar(&in.json, "json", false, "as JSON")
	c.Flags().BoolVar(&in.yaml, "yaml", false, "as YAML")
	c.Flags().BoolVar(&in.table, "table", false, "as a table")
}

func searchCommand(stdio IO) *cobra.Command {
	var t target
	var in input
	var filter, sort, cursor string
	var limit int
	c := &cobra.Command{
		Use:   "search TYPE",
		Short: "Find entities, as an agent does",
		Example: `  headlessly search Integration --filter '{"status":"Active"}'
  headlessly search Contact --limit 5 --sort -leadScore`,
		Args: one(`name the type: headlessly search Integration --filter '{"status":"Active"}'`, 1),
		RunE: func(c *cobra.Command, a []string) error {
			arguments := map[string]any{"type": a[0]}
			if filter != "" {
				f, ok := literal(filter).(map[string]any)
				if !ok {
					return usageError{errors.New(`--filter must be a JSON object such as {"status":"Active"}`)}
				}
				arguments["filter"] = f
			}
			if sort != "" {
				arguments["sort"] = sort
			}
			if cursor != "" {
				arguments["cursor"] = cursor
			}
			if limit > 0 {
				arguments["limit"] = limit
			}
			return showTool(c.Context(), &t, &in, "search", arguments, stdio, func(w io.Writer, v any) error {
				typ, _ := graph.BuiltinTypes().Lookup(a[0]) // a type of the user's own has no declared order
				answer, _ := v.(map[string]any)
				results, _ := answer["results"].([]any)
				list := make([]map[string]any, 0, len(results))
				for _, r := range results {
					if e, ok := r.(map[string]any); ok {
						list = append(list, e)
					}
				}
				if err := showEntities(w, typ, list, nil); err != nil || answer["hasMore"] != true {
					return err
				}
				_, err := fmt.Fprintf(w, "%d of %v; go on with --cursor %v\n", len(list), answer["total"], answer["cursor"])
				return err
			})
		},
	}
	t.flags(c)
	formatFlags(c, &in)
	c.Flags().StringVar(&filter, "filter", "", `which: {"stage":{"$in":["Lead","Qualified"]}}`)
	c.Flags().StringVar(&sort, "sort", "", "a field; - before it turns the order")
	c.Flags().IntVar(&limit, "limit", 0, "1 to 100")
	c.Flags().StringVar(&cursor, "cursor", "", "where the page before ended")
	return c
}

func fetchCommand(stdio IO) *cobra.Command {
	var t target
	var in input
	c := &cobra.Command{
		Use:   "fetch TYPE [ID]",
		Short: "Read an entity, a Schema, the Status or a Metric, as an agent does",
		Example: `  headlessly fetch contact_fX9bL5nRd
  headlessly fetch Schema Contact
  headlessly fetch Metric mrr
  headlessly fetch Status`,
		Args: one("name what to fetch: headlessly fetch Contact contact_…, Schema Contact, Status", 2),
		RunE: func(c *cobra.Command, a []string) error {
			return showTool(c.Context(), &t, &in, "fetch", fetchArguments(a), stdio, func(w io.Writer, v any) error { return showYAML(w, v) })
		},
	}
	t.flags(c)
	formatFlags(c, &in)
	return c
}

// fetchArguments tells an id, which names its type itself, from a type.
func fetchArguments(a []string) map[string]any {
	if len(a) == 2 {
		return map[string]any{"type": a[0], "id": a[1]}
	}
	if strings.Contains(a[0], "_") {
		return map[string]any{"id": a[0]}
	}
	return map[string]any{"type": a[0]}
}

func doCommand(stdio IO) *cobra.Command {
	var t target
	c := &cobra.Command{
		Use:   "do [CODE]",
		Short: "Run TypeScript with $ in the gateway's sandbox",
		Long: `Run TypeScript with $ in the gateway's sandbox, and show the last expression's
value. Without CODE it is read from standard input.`,
		Example: `  headlessly do 'await $.Contact.count({stage:"Lead"})'
  headlessly do < cleanup.ts`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			code := ""
			if len(a) == 1 {
				code = a[0]
			} else if text, err := readText(stdio.In); err == nil {
				code = text
			}
			if strings.TrimSpace(code) == "" {
				return usageError{errors.New(`no code: headlessly do 'await $.Contact.count()'`)}
			}
			if err := t.resolve(); err != nil {
				return err
			}
			v, err := t.tool(c.Context(), "do", map[string]any{"code": code})
			if err != nil {
				return err
			}
			if s, ok := v.(string); ok {
				_, err := fmt.Fprintln(stdio.Out, s)
				return err
			}
			return showJSON(stdio.Out, v)
		},
	}
	t.flags(c)
	return c
}

// showTool calls a tool and shows its answer.
func showTool(ctx context.Context, t *target, in *input, name string, arguments map[string]any, stdio IO, table func(io.Writer, any) error) error {
	format, err := in.format(stdio.Out)
	if err != nil {
		return usageError{err}
	}
	if err := t.resolve(); err != nil {
		return err
	}
	v, err := t.tool(ctx, name, arguments)
	if err != nil {
		return err
	}
	switch format {
	case formatTable:
		return table(stdio.Out, v)
	case formatYAML:
		return showYAML(stdio.Out, v)
	}
	return showJSON(stdio.Out, v)
}
