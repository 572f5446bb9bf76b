package mcp

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/headlessly/headlessly/connectors/graph"
)

// maxCompletions is how many values the protocol lets one answer hold.
const maxCompletions = 100

// complete proposes values for an argument of a prompt, or of a resource's
// address, that begins with what has been typed. An argument that takes any text
// has no proposals.
func (a *agent) complete(_ context.Context, r *sdk.CompleteRequest) (*sdk.CompleteResult, error) {
	values, err := a.proposals(r.Params)
	if err != nil {
		return nil, err
	}
	typed := strings.ToLower(r.Params.Argument.Value)
	values = slices.DeleteFunc(values, func(v string) bool { return !strings.HasPrefix(strings.ToLower(v), typed) })
	total := len(values)
	return &sdk.CompleteResult{Completion: sdk.CompletionResultDetails{
		Values: append([]string{}, values[:min(total, maxCompletions)]...), Total: total, HasMore: total > maxCompletions,
	}}, nil
}

// proposals are all values of an argument that are known.
func (a *agent) proposals(p *sdk.CompleteParams) ([]string, error) {
	types := a.scope.Types()
	switch {
	case p.Ref == nil:
		return nil, invalid("ref is needed")
	case p.Ref.Type == "ref/resource":
		if p.Ref.URI == schemaTemplate && p.Argument.Name == "type" {
			return typeNames(types), nil
		}
		return nil, invalid("there is no resource template %q with an argument %q; known is %s", p.Ref.URI, p.Argument.Name, schemaTemplate)
	}
	for _, j := range jobs() {
		for _, arg := range j.arguments {
			if j.name != p.Ref.Name || arg.Name != p.Argument.Name {
				continue
			}
			switch arg.Name {
			case "provider":
				return []string{"analytics", "github", "slack", "stripe", "webhook"}, nil
			case "destination":
				return []string{"ga", "posthog", "sentry"}, nil
			case "hook":
				return hooks(types), nil
			}
			return nil, nil
		}
	}
	return nil, invalid("there is no prompt %q with an argument %q", p.Ref.Name, p.Argument.Name)
}

func typeNames(types *graph.Types) []string {
	var out []string
	for _, t := range types.All() {
		out = append(out, t.Name)
	}
	return out
}

func hooks(types *graph.Types) []string {
	var out []string
	for _, t := range types.All() {
		for _, h := range t.HookNames() {
			out = append(out, t.Name+"."+h)
		}
	}
	return out
}

// invalid is the protocol's fault for parameters that name nothing.
func invalid(format string, args ...any) error {
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf(format, args...)}
}
