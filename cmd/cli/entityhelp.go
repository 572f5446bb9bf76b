package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/headlessly/headlessly/connectors/graph"
)

// help says what a call takes, with examples that fit the verb.
func (e *entity) help(w io.Writer) error {
	var b strings.Builder
	id := strings.ToLower(e.name) + "_…"
	fmt.Fprintf(&b, "%s\n\nUSAGE\n", e.purpose())
	for _, line := range e.usages(id) {
		fmt.Fprintf(&b, "  headlessly [--url URL] [--tenant TENANT] [--data FOLDER] %s\n", line)
	}
	b.WriteString(`
VALUES
  --field value     as the field is declared; lists with commas, JSON for the rest
  --field @file     from a file; @- from standard input; @@x for a text that begins with @
  --field env:NAME  from the environment, so that a secret stays out of the shell's history
  --secret          a credential without a value is asked for, unseen
  --a.b value       a field within a field

OUTPUT
  --table, --json or --yaml; a table on a terminal, JSON otherwise

EXAMPLES
`)
	for _, line := range e.examples(id) {
		fmt.Fprintf(&b, "  headlessly %s\n", line)
	}
	b.WriteString("\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	if e.typ == nil {
		_, err := fmt.Fprintf(w, "%s is no built-in type; the gateway knows the fields of your own types: headlessly fetch Schema %s\n", e.name, e.name)
		return err
	}
	return e.typ.Help(w)
}

func (e *entity) purpose() string {
	switch e.verb {
	case "find":
		return "Find entities of type " + e.name + "."
	case "count":
		return "Count entities of type " + e.name + "."
	case "get":
		return "Read one " + e.name + ", as it is or as it was."
	case "history":
		return "List what happened to one " + e.name + ", oldest first."
	}
	if e.typ != nil {
		if v := e.typ.Verb(e.verb); v != nil {
			return "Does " + e.name + "." + v.Event + "."
		}
	}
	return e.name + "." + e.verb
}

func (e *entity) usages(id string) []string {
	call := e.name + "." + e.verb
	switch e.verb {
	case "find", "count":
		return []string{call + " [--field value]… [--filter JSON] [--sort -$createdAt] [--limit 25] [--cursor …] [--include field] [--fields a,b] [--asOf TIME]"}
	case "get":
		return []string{call + " " + id + " [--include field] [--fields a,b] [--asOf TIME]"}
	case "history":
		return []string{call + " " + id}
	case graph.VerbCreate:
		return []string{call + " [--field value]…"}
	case graph.VerbDelete:
		return []string{call + " " + id + " [--if-version N]"}
	case graph.VerbRollback:
		return []string{call + " " + id + " [--version N | --asOf TIME]"}
	}
	if e.typ != nil {
		if v := e.typ.Verb(e.verb); v != nil && v.Creates {
			return []string{call + " [--field value]…", call + " " + id + " [--field value]…"}
		}
	}
	return []string{call + " " + id + " [--field value]… [--if-version N]"}
}

func (e *entity) examples(id string) []string {
	call := e.name + "." + e.verb
	switch {
	case call == "Integration.connect":
		return []string{
			call + " --provider stripe --apiKey env:STRIPE_KEY",
			call + " --provider github --token @token.txt",
			call + " --provider slack --webhook env:SLACK_WEBHOOK",
			call + " --provider webhook --url https://example.com/hooks --events Deal.Closed,Subscription.*",
			call + " --provider analytics --ga G-XXXXXXXXXX        # with GA_API_SECRET, SENTRY_DSN, POSTHOG_KEY set, those too",
		}
	case e.verb == "find":
		return []string{call + " --limit 5 --sort -$createdAt", call + ` --filter '{"$or":[{"status":"Active"},{"status":"Errored"}]}' --json`, call + " --asOf 2026-01-01"}
	case e.verb == "count":
		return []string{call, call + " --asOf 2026-01-01"}
	case e.verb == "get", e.verb == "history", e.verb == graph.VerbDelete:
		return []string{call + " " + id}
	case e.verb == graph.VerbRollback:
		return []string{call + " " + id + " --version 2"}
	case e.verb == graph.VerbCreate || e.verb == graph.VerbUpdate:
		line := call
		if e.verb == graph.VerbUpdate {
			line += " " + id
		}
		if e.typ != nil {
			line += sample(e.typ, e.verb == graph.VerbCreate)
		}
		return []string{line, call + " --field @file.txt --yaml"}
	}
	return []string{call + " " + id}
}

// sample gives arguments that make an example: what is required, or one enum.
func sample(t *graph.Type, required bool) string {
	var b strings.Builder
	for i := range t.Fields {
		f := &t.Fields[i]
		switch {
		case !required && f.Kind == graph.KindEnum:
			return " --" + f.Name + " " + f.Enum[len(f.Enum)-1]
		case required && f.Required && (f.Kind == graph.KindInt || f.Kind == graph.KindNumber):
			fmt.Fprintf(&b, " --%s 100", f.Name)
		case required && f.Required:
			fmt.Fprintf(&b, " --%s '…'", f.Name)
		}
	}
	return b.String()
}
