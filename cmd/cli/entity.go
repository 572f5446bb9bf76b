package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/headlessly/headlessly/connectors/graph"
)

// entityForm is how a call on the entity graph begins: Type.verb.
var entityForm = regexp.MustCompile(`^([A-Z][A-Za-z0-9]*)\.([A-Za-z][A-Za-z0-9]*)$`)

// entityCall finds Type.verb in a command line: what stands before it are
// flags of the target, what stands behind it belongs to the call.
func entityCall(args []string) (at int, ok bool) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case entityForm.MatchString(a):
			return i, true
		case !strings.HasPrefix(a, "--"):
			return 0, false // another command
		case !strings.Contains(a, "=") && targetFlag(a):
			i++ // its value
		}
	}
	return 0, false
}

func targetFlag(a string) bool { return a == "--data" || a == "--url" || a == "--tenant" }

// call is one call on the entity graph.
type entity struct {
	t      target
	typ    *graph.Type // nil for a type that this program does not know
	name   string
	verb   string
	in     input
	format string
	stdio  IO
}

// runEntity runs Type.verb.
func runEntity(ctx context.Context, argv []string, at int, stdio IO) error {
	m := entityForm.FindStringSubmatch(argv[at])
	e := entity{name: m[1], verb: m[2], stdio: stdio}
	e.typ, _ = graph.BuiltinTypes().Lookup(e.name) // a type of the user's own is known to the gateway only
	flags := pflag.NewFlagSet("headlessly", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	e.t.pflags(flags)
	if err := flags.Parse(argv[:at]); err != nil {
		return usageError{err}
	}
	var err error
	if e.in, err = readArguments(argv[at+1:], e.typ, &e.t, stdio); err != nil {
		return usageError{fmt.Errorf("%w\nSee: headlessly %s.%s --help", err, e.name, e.verb)}
	}
	if e.in.help {
		return e.help(stdio.Out)
	}
	if e.typ != nil {
		if err := e.known(); err != nil {
			return usageError{err}
		}
	}
	if e.format, err = e.in.format(stdio.Out); err != nil {
		return usageError{err}
	}
	if err := e.t.resolve(); err != nil {
		return err
	}
	return e.run(ctx)
}

// readers are the verbs that only read, which no type declares.
var readers = []string{"find", "get", "count", "history"} //nolint:gochecknoglobals // a constant table

func (e *entity) known() error {
	for _, r := range readers {
		if e.verb == r {
			return nil
		}
	}
	_, err := e.typ.FindVerb(e.verb)
	var known *graph.Error
	if errors.As(err, &known) {
		return errors.New(known.Message) // its code is for programs
	}
	return err
}

func (e *entity) run(ctx context.Context) error {
	switch e.verb {
	case "find", "count":
		return e.find(ctx)
	case "get":
		return e.one(ctx, http.MethodGet, "", e.in.query("include", "fields", "asOf"), nil)
	case "history":
		return e.history(ctx)
	case graph.VerbDelete:
		return e.one(ctx, http.MethodDelete, "", nil, nil)
	case graph.VerbUpdate:
		return e.one(ctx, http.MethodPatch, "", nil, e.in.fields)
	case graph.VerbCreate:
		return e.answer(ctx, http.MethodPost, e.name, nil, e.in.fields)
	}
	if e.in.id == "" {
		if e.verb == "connect" {
			environment(e.in.fields, os.Getenv)
		}
		return e.answer(ctx, http.MethodPost, e.name+"/"+e.verb, nil, e.in.fields)
	}
	return e.one(ctx, http.MethodPost, "/"+e.verb, nil, e.in.fields)
}

// one calls on one entity.
func (e *entity) one(ctx context.Context, method, tail string, q url.Values, body any) error {
	if e.in.id == "" {
		return usageError{fmt.Errorf("%s.%s needs an id: headlessly %s.%s %s_…", e.name, e.verb, e.name, e.verb, strings.ToLower(e.name))}
	}
	return e.answer(ctx, method, e.name+"/"+url.PathEscape(e.in.id)+tail, q, body)
}

// answer makes a call and shows the entity that it gives.
func (e *entity) answer(ctx context.Context, method, path string, q url.Values, body any) error {
	var got map[string]any
	if err := e.request(ctx, method, path, q, body, &got); err != nil {
		return err
	}
	return e.show(func(w io.Writer) error { return showEntity(w, e.typ, got) }, got)
}

func (e *entity) find(ctx context.Context) error {
	q := url.Values{}
	for name, v := range e.in.fields {
		q.Set(name, queryText(v))
	}
	if e.verb == "count" {
		var got struct {
			Count int64 `json:"count"`
		}
		if err := e.request(ctx, http.MethodGet, e.name+"/count", q, nil, &got); err != nil {
			return err
		}
		return e.show(func(w io.Writer) error { _, err := fmt.Fprintln(w, got.Count); return err }, map[string]any{"count": json.Number(strconv.FormatInt(got.Count, 10))})
	}
	var got struct {
		Results []map[string]any `json:"results"`
		Total   json.Number      `json:"total"`
		HasMore bool             `json:"hasMore"`
		Cursor  string           `json:"cursor,omitempty"`
	}
	if err := e.request(ctx, http.MethodGet, e.name, q, nil, &got); err != nil {
		return err
	}
	whole := map[string]any{"results": got.Results, "total": got.Total, "hasMore": got.HasMore}
	if got.Cursor != "" {
		whole["cursor"] = got.Cursor
	}
	return e.show(func(w io.Writer) error {
		var columns []string
		if s, ok := e.in.fields["fields"].(string); ok {
			columns = strings.Split(s, ",")
		}
		if err := showEntities(w, e.typ, got.Results, columns); err != nil {
			return err
		}
		if got.HasMore {
			_, err := fmt.Fprintf(w, "%d of %s; go on with --cursor %s\n", len(got.Results), got.Total, got.Cursor)
			return err
		}
		return nil
	}, whole)
}

// historyPage is how many events the gateway gives at once.
const historyPage = "999"

// history reads all of an entity's events, however many answers they take.
func (e *entity) history(ctx context.Context) error {
	if e.in.id == "" {
		return usageError{fmt.Errorf("%s.history needs an id", e.name)}
	}
	all, after := []map[string]any{}, json.Number("0")
	for {
		var got struct {
			Results []map[string]any `json:"results"`
			HasMore bool             `json:"hasMore"`
			Next    struct {
				After json.Number `json:"after"`
			} `json:"next"`
		}
		q := url.Values{"after": {after.String()}, "limit": {historyPage}}
		if err := e.request(ctx, http.MethodGet, e.name+"/"+url.PathEscape(e.in.id)+"/events", q, nil, &got); err != nil {
			return err
		}
		all = append(all, got.Results...)
		if !got.HasMore || got.Next.After == "" {
			break
		}
		after = got.Next.After
	}
	return e.show(func(w io.Writer) error { return showHistory(w, all) }, all)
}

// request makes a call and decodes the answer, numbers as they were written.
func (e *entity) request(ctx context.Context, method, path string, q url.Values, body, into any) error {
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	var headers map[string]string
	if e.in.ifVersion != "" {
		headers = map[string]string{"If-Match": `"` + e.in.ifVersion + `"`}
	}
	res, err := e.t.callWith(ctx, method, path, body, headers)
	if err != nil {
		return err
	}
	defer res.Close() //nolint:errcheck // read whole
	raw, err := io.ReadAll(res)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("the answer is not what this version of the command expects: %w", err)
	}
	return nil
}

// show writes an answer in the format that was asked for.
func (e *entity) show(table func(io.Writer) error, v any) error {
	switch e.format {
	case formatTable:
		return table(e.stdio.Out)
	case formatYAML:
		return showYAML(e.stdio.Out, v)
	}
	return showJSON(e.stdio.Out, v)
}

// providerSecrets are the variables that Integration.connect takes a provider's
// credentials from where the call names none: they stay out of the shell's
// history.
var providerSecrets = map[string][][2]string{ //nolint:gochecknoglobals // a constant table
	"stripe":    {{"apiKey", "STRIPE_KEY"}},
	"github":    {{"token", "GITHUB_TOKEN"}},
	"slack":     {{"webhook", "SLACK_WEBHOOK"}},
	"webhook":   {{"secret", "WEBHOOK_SECRET"}},
	"analytics": {{"destinations.ga.measurementId", "GA_ID"}, {"destinations.ga.apiSecret", "GA_API_SECRET"}, {"destinations.sentry.dsn", "SENTRY_DSN"}, {"destinations.posthog.apiKey", "POSTHOG_KEY"}},
}

// environment adds what the call left to the environment. Of a destination
// that the call does not name it adds nothing but what identifies it: GA's
// secret alone connects nothing.
func environment(fields map[string]any, getenv func(string) string) {
	provider, _ := fields["provider"].(string)
	for _, s := range providerSecrets[provider] {
		value := getenv(s[1])
		if value == "" || at(fields, s[0]) != nil || s[1] == "GA_API_SECRET" && at(fields, "destinations.ga.measurementId") == nil {
			continue
		}
		_ = put(fields, s[0], value) // a path that is taken by something else is the gateway's to refuse
	}
}

// at gives what a dotted path names, nil where there is nothing.
func at(fields map[string]any, path string) any {
	name, rest, nested := strings.Cut(path, ".")
	if !nested {
		return fields[name]
	}
	m, _ := fields[name].(map[string]any)
	return at(m, rest)
}

// put sets what a dotted path names.
func put(fields map[string]any, path string, v any) error {
	name, rest, nested := strings.Cut(path, ".")
	if !nested {
		fields[name] = v
		return nil
	}
	m, ok := fields[name].(map[string]any)
	if !ok {
		if fields[name] != nil {
			return errors.New("--" + path + ": " + name + " is set to a value already")
		}
		m = map[string]any{}
		fields[name] = m
	}
	return put(m, rest, v)
}
