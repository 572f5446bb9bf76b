package cli

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly/connectors/graph"
)

// The scripts that `headlessly completion` prints ask the program itself, with
// one of these words before the line so far, what may come next. Cobra answers
// for the commands; what begins with Type.verb is answered here.
func completionCall(args []string) (line []string, described, ok bool) {
	if len(args) < 2 || args[0] != cobra.ShellCompRequestCmd && args[0] != cobra.ShellCompNoDescRequestCmd {
		return nil, false, false
	}
	line = args[1:]
	_, call := entityCall(line[:len(line)-1])
	return line, args[0] == cobra.ShellCompRequestCmd, call || entityWord.MatchString(line[len(line)-1]) && onlyTarget(line[:len(line)-1])
}

// entityWord is how the name of a type begins, or all of Type.verb.
var entityWord = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*(\.[A-Za-z0-9]*)?$`)

// onlyTarget says whether nothing but flags of the target stands in a line.
func onlyTarget(line []string) bool {
	for i := 0; i < len(line); i++ {
		name, _, given := strings.Cut(line[i], "=")
		if !targetFlag(name) {
			return false
		}
		if !given {
			i++
		}
	}
	return true
}

// typeNames are what Type.verb begins with.
func typeNames() []cobra.Completion {
	var out []cobra.Completion
	for _, t := range graph.BuiltinTypes().All() {
		out = append(out, t.Name+".\t"+t.Domain)
	}
	return out
}

// proposal is a word that may come next, and what it does.
type proposal struct{ word, about string }

// completeEntity answers the shell's script: the proposals, then what the shell
// is to do with them.
func completeEntity(line []string, described bool, out io.Writer) error {
	proposals, directive := proposed(line)
	b := bufio.NewWriter(out)
	last := line[len(line)-1]
	for _, p := range proposals {
		if !strings.HasPrefix(p.word, last) {
			continue
		}
		if described && p.about != "" {
			p.word += "\t" + p.about
		}
		_, _ = fmt.Fprintln(b, p.word)
	}
	_, _ = fmt.Fprintf(b, ":%d\n", directive)
	return b.Flush()
}

// proposed are the words that may stand at a line's end.
func proposed(line []string) ([]proposal, cobra.ShellCompDirective) {
	types := graph.BuiltinTypes()
	at, call := entityCall(line[:len(line)-1])
	if !call {
		return calls(types, line[len(line)-1])
	}
	m := entityForm.FindStringSubmatch(line[at])
	t, err := types.Lookup(m[1])
	if err != nil {
		t = new(graph.Type) // of the user's own: its fields are the gateway's to tell
	}
	before, last := line[len(line)-2], line[len(line)-1]
	switch flag, ok := strings.CutPrefix(before, "--"); {
	case ok && len(line)-2 > at && !strings.HasPrefix(last, "--") && !new(input).option(flag):
		return values(t, flag)
	case strings.HasPrefix(last, "-") || m[2] == graph.VerbCreate || m[2] == "find" || m[2] == "count":
		return flags(t, m[2]), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp // an id
}

// calls are Type.verb: first the types, then the verbs of the one that is typed.
func calls(types *graph.Types, typed string) ([]proposal, cobra.ShellCompDirective) {
	var out []proposal
	name, _, whole := strings.Cut(typed, ".")
	if !whole {
		for _, t := range types.All() {
			out = append(out, proposal{t.Name + ".", t.Domain})
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	t, err := types.Lookup(name)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for i := range t.Verbs {
		out = append(out, proposal{name + "." + t.Verbs[i].Name, "does " + name + "." + t.Verbs[i].Event})
	}
	for _, r := range readers {
		e := entity{name: name, verb: r}
		out = append(out, proposal{name + "." + r, strings.TrimSuffix(e.purpose(), ".")})
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// reading are the flags of the verbs that read.
var reading = []proposal{ //nolint:gochecknoglobals // a constant table
	{"--filter", "JSON such as {\"status\":\"Active\"}"},
	{"--sort", "a field; - before it turns the order"},
	{"--limit", "1 to 100"},
	{"--cursor", "where the page before ended"},
	{"--include", "references to answer in place"},
	{"--fields", "which fields"},
	{"--asOf", "an earlier moment"},
}

// flags are what may stand behind Type.verb.
func flags(t *graph.Type, verb string) []proposal {
	var out []proposal
	switch verb {
	case "history", graph.VerbDelete:
	case "get":
		out = append(out, reading[4:]...)
	default:
		for i := range t.Fields {
			if f := &t.Fields[i]; f.Kind != graph.KindBack {
				out = append(out, proposal{"--" + f.Name, f.Notation()})
			}
		}
		if verb == "find" || verb == "count" {
			out = append(out, reading...)
		}
	}
	if verb != graph.VerbCreate && verb != "find" && verb != "count" && verb != "get" && verb != "history" {
		out = append(out, proposal{"--if-version", "refuse unless it is this version"})
	}
	for _, p := range []proposal{{"--json", "as JSON"}, {"--yaml", "as YAML"}, {"--table", "as a table"}, {"--help", "what it takes, with examples"}, {"--tenant", "tenant"}, {"--url", "control plane of a gateway elsewhere"}} {
		if fieldOf(t, p.word[2:]) == nil {
			out = append(out, p)
		}
	}
	return out
}

// values are what a field takes, where that is known; the shell completes files
// for --data and after @.
func values(t *graph.Type, flag string) ([]proposal, cobra.ShellCompDirective) {
	var out []proposal
	switch f := fieldOf(t, flag); {
	case f == nil && flag == "data":
		return nil, cobra.ShellCompDirectiveFilterDirs
	case f == nil && (flag == "sort" || flag == "fields" || flag == "include"):
		for i := range t.Fields {
			if t.Fields[i].Kind != graph.KindSecret {
				out = append(out, proposal{t.Fields[i].Name, ""})
			}
		}
	case t.Name == "Integration" && flag == "provider":
		for _, name := range []string{"analytics", "github", "slack", "stripe", "webhook"} {
			out = append(out, proposal{name, ""})
		}
	case f != nil && f.Kind == graph.KindEnum:
		for _, v := range f.Enum {
			out = append(out, proposal{v, ""})
		}
	case f != nil && f.Kind == graph.KindBool:
		out = []proposal{{"true", ""}, {"false", ""}}
	case f != nil && f.Kind == graph.KindSecret:
		out = []proposal{{"env:", "from the environment"}}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
