package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/headlessly/headlessly/connectors/graph"
)

// input is what stands behind Type.verb.
type input struct {
	id         string
	fields     map[string]any
	ifVersion  string
	json, yaml bool
	table      bool
	help       bool
}

// shorthands are the documented short names of Integration.connect's nested
// arguments.
var shorthands = map[string]string{ //nolint:gochecknoglobals // a constant table
	"ga":           "destinations.ga.measurementId",
	"ga-endpoint":  "destinations.ga.endpoint",
	"posthog-host": "destinations.posthog.host",
}

// readArguments reads [id] [--field value]…. A flag that a field of the type
// has the name of is that field; --data, --url and --tenant choose the gateway
// otherwise.
func readArguments(argv []string, t *graph.Type, to *target, stdio IO) (input, error) {
	in := input{fields: map[string]any{}}
	for i := 0; i < len(argv); i++ {
		a := argv[i]
		if a == "-h" {
			a = "--help"
		}
		flag, ok := strings.CutPrefix(a, "--")
		if !ok {
			if in.id != "" {
				return in, fmt.Errorf("unexpected %q: one id, then --field value", a)
			}
			in.id = a
			continue
		}
		name, text, given := strings.Cut(flag, "=")
		if in.option(name) {
			continue
		}
		if !given && i+1 < len(argv) && (!strings.HasPrefix(argv[i+1], "--") || argv[i+1] == "--") {
			i++
			text, given = argv[i], true
		}
		if err := in.set(t, to, name, text, given, stdio); err != nil {
			return in, err
		}
	}
	return in, nil
}

// option takes the flags that have no value.
func (in *input) option(name string) bool {
	switch name {
	case "json":
		in.json = true
	case "yaml":
		in.yaml = true
	case "table":
		in.table = true
	case "help":
		in.help = true
	default:
		return false
	}
	return true
}

func (in *input) set(t *graph.Type, to *target, name, text string, given bool, stdio IO) error {
	field := fieldOf(t, name)
	switch {
	case field == nil && name == "tenant":
		to.tenant = text
	case field == nil && name == "data":
		to.data = text
	case field == nil && name == "url":
		to.url = text
	case name == "if-version" || name == "ifVersion":
		in.ifVersion = text
	case name == "id":
		in.id = text
	default:
		if long, ok := shorthands[name]; ok && t != nil && t.Name == "Integration" {
			name = long
			field = fieldOf(t, name)
		}
		v, err := argument(field, name, text, given, stdio)
		if err != nil {
			return err
		}
		return put(in.fields, name, v)
	}
	if !given {
		return errors.New("--" + name + " needs a value")
	}
	return nil
}

func fieldOf(t *graph.Type, name string) *graph.Field {
	if t == nil {
		return nil
	}
	return t.Field(name)
}

// maxArgument bounds a value that is read from a file.
const maxArgument = 1 << 20

// argument is a flag's value: as the field is declared, or what the text looks
// like where no declaration knows the field. @file and @- read a file and
// standard input, env:NAME the environment; a credential without a value is
// asked for.
func argument(f *graph.Field, name, text string, given bool, stdio IO) (any, error) {
	var err error
	switch {
	case !given && f != nil && f.Kind == graph.KindSecret:
		if text, err = prompt(stdio, name+": "); err != nil {
			return nil, fmt.Errorf("--%s needs a value: %w", name, err)
		}
	case !given && f != nil && f.Kind != graph.KindBool && f.Kind != graph.KindJSON:
		return nil, fmt.Errorf("--%s needs a value", name)
	case !given:
		return true, nil // a switch: --active
	case text == "@-":
		text, err = readText(stdio.In)
	case strings.HasPrefix(text, "@@"):
		text = text[1:]
	case strings.HasPrefix(text, "@"):
		text, err = readFileText(text[1:])
	case strings.HasPrefix(text, "env:"):
		variable := text[len("env:"):]
		if text = os.Getenv(variable); text == "" {
			err = fmt.Errorf("the variable %s is not set", variable)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", name, err)
	}
	return typed(f, name, text)
}

func typed(f *graph.Field, name, text string) (any, error) {
	switch {
	case f == nil || f.Kind == graph.KindJSON:
		return literal(text), nil
	case f.Kind == graph.KindSecret && strings.HasPrefix(text, "{"):
		return literal(text), nil // headers
	case f.List:
		if strings.HasPrefix(text, "[") {
			return literal(text), nil
		}
		items := []any{}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		return items, nil
	case text == "null":
		return nil, nil //nolint:nilnil // null is a value: it removes the field
	case f.Kind == graph.KindInt || f.Kind == graph.KindNumber:
		if _, err := strconv.ParseFloat(text, 64); err != nil || !json.Valid([]byte(text)) {
			return nil, fmt.Errorf("--%s: %q is no number", name, text)
		}
		return json.Number(text), nil
	case f.Kind == graph.KindBool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("--%s: %q is neither true nor false", name, text)
		}
		return b, nil
	}
	return text, nil
}

// literal is the JSON that a text is, else the text.
func literal(text string) any {
	if text == "" {
		return text
	}
	if c := text[0]; c == '{' || c == '[' || c == '-' || c >= '0' && c <= '9' || text == "true" || text == "false" || text == "null" {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		var v any
		if dec.Decode(&v) == nil && !dec.More() {
			return v
		}
	}
	return text
}

func readText(r io.Reader) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxArgument))
	return strings.TrimRight(string(raw), "\r\n"), err
}

func readFileText(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	return readText(f)
}

// prompt asks for a secret without showing it.
func prompt(stdio IO, label string) (string, error) {
	in, ok := stdio.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", errors.New("there is no terminal to ask on; use @file, @- or env:NAME")
	}
	_, _ = fmt.Fprint(stdio.Err, label)
	raw, err := term.ReadPassword(int(in.Fd()))
	_, _ = fmt.Fprintln(stdio.Err)
	return strings.TrimSpace(string(raw)), err
}

// query gives some of the fields as parameters of a URL.
func (in *input) query(names ...string) url.Values {
	q := url.Values{}
	for _, name := range names {
		if v, ok := in.fields[name]; ok {
			q.Set(name, queryText(v))
		}
	}
	return q
}

// queryText writes a value as a URL's parameter.
func queryText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = queryText(item)
		}
		return strings.Join(parts, ",")
	case map[string]any:
		raw, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(raw)
	}
	return fmt.Sprint(v)
}
