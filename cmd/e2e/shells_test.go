package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// said is what a command line printed, and its exit code.
type said struct {
	out, err string
	code     int
}

// shell is one of the two command lines.
type shell struct {
	command []string
	env     []string
}

func (s shell) run(t testing.TB, stdin string, args ...string) said {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.command[0], append(s.command[1:len(s.command):len(s.command)], args...)...)
	cmd.Env, cmd.Dir = s.env, t.TempDir()
	cmd.Stdin = strings.NewReader(stdin)
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return said{out.String(), fault.String(), cmd.ProcessState.ExitCode()}
}

// shells are the binary and the npm package, on one gateway.
func shells(t testing.TB, g *gateway) (native, npm shell) {
	t.Helper()
	if out, err := packages(); err != nil {
		t.Fatalf("build the packages: %v\n%s", err, out)
	}
	cli, err := filepath.Abs("../../jsclient/packages/cli/bin/headlessly.js")
	if err != nil {
		t.Fatal(err)
	}
	env := append(g.environment(t), "HOME="+t.TempDir())
	return shell{[]string{binary}, env}, shell{[]string{"node", cli}, env}
}

var (
	anyID   = regexp.MustCompile(`\b([a-z]+)_[A-Za-z0-9]{8,12}\b`)
	anyTime = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?`)
	anyMs   = regexp.MustCompile(`("ms": |ms: |row, |rows, |disk_free_bytes: )[\d.]+m?s?`)
)

// even takes out what differs between two runs of the same command.
func even(s said) said {
	for _, text := range []*string{&s.out, &s.err} {
		seen := map[string]string{}
		*text = anyID.ReplaceAllStringFunc(*text, func(id string) string {
			if seen[id] == "" {
				seen[id] = fmt.Sprintf("%s_%d", anyID.FindStringSubmatch(id)[1], len(seen)+1)
			}
			return seen[id]
		})
		*text = anyMs.ReplaceAllString(anyTime.ReplaceAllString(*text, "TIME"), "${1}MS")
	}
	return s
}

func TestBothCommandLinesPrintTheSame(t *testing.T) {
	g := newGateway(t, "")
	native, npm := shells(t, g)
	for i, name := range []string{"Ada", "Grace", "Mary"} {
		g.run(t, "Contact.create", "--name", name, "--email", strings.ToLower(name)+"@example.com", "--leadScore", fmt.Sprint(i*10))
	}
	id := regexp.MustCompile(`contact_\w+`).FindString(g.run(t, "Contact.find", "--name", "Ada"))
	g.run(t, "Contact.qualify", id)
	for _, row := range []struct {
		name string
		args []string
		in   string
		code int
		want string // is part of what is printed
	}{
		{"a table", []string{"Contact.find", "--sort", "name", "--table"}, "", 0, "ada@example.com"},
		{"a page of a table", []string{"Contact.find", "--sort", "name", "--limit", "2", "--fields", "name,email", "--table"}, "", 0, "2 of 3; go on with --cursor"},
		{"a list as JSON", []string{"Contact.find", "--sort", "-name", "--json"}, "", 0, `"total": 3`},
		{"a list as YAML", []string{"Contact.find", "--filter", `{"leadScore":{"$gte":10}}`, "--yaml"}, "", 0, "total: 2"},
		{"nothing found", []string{"Contact.find", "--name", "Nobody", "--table"}, "", 0, ""},
		{"a count", []string{"Contact.count", "--table"}, "", 0, "3"},
		{"a count as JSON", []string{"Contact.count"}, "", 0, `"count": 3`},
		{"one as a table", []string{"Contact.get", id, "--table"}, "", 0, "Qualified"},
		{"one as JSON", []string{"Contact.get", id}, "", 0, `"stage": "Qualified"`},
		{"one as YAML", []string{"Contact.get", id, "--yaml"}, "", 0, "stage: Qualified"},
		{"a history as a table", []string{"Contact.history", id, "--table"}, "", 0, "Contact.Qualified"},
		{"a history as YAML", []string{"Contact.history", id, "--yaml"}, "", 0, "Contact.Qualified"},
		{"a new entity", []string{"Deal.create", "--name", "Enterprise", "--value", "50000"}, "", 0, `"value": 50000`},
		{"a field from standard input", []string{"Deal.create", "--name", "@-", "--yaml"}, "From a pipe\n", 0, "name: From a pipe"},
		{"odd texts as YAML", []string{"Deal.create", "--name", "yes: [no] #1 'x' \"y\"", "--value", "1.50", "--yaml"}, "", 0, "yes: [no]"},
		{"fields of any kind", []string{"Event.create", "--type", "order", "--properties", `{"items":[1,{"a":null}],"empty":{},"none":[],"text":"a\nb"}`, "--yaml"}, "", 0, "type: order"},
		{"the same as JSON", []string{"Event.create", "--type", "order", "--properties.deep.er", "7", "--properties.html", "<b>&</b>"}, "", 0, "er"},
		{"a value that the graph refuses", []string{"Contact.create", "--name", "X", "--stage", "Nope"}, "", 1, "stage"},
		{"a missing field and a bad one", []string{"Contact.create", "--stage", "Nope"}, "", 1, "stage"},
		{"a stale version", []string{"Contact.update", id, "--leadScore", "5", "--if-version", "1"}, "", 1, "version"},
		{"an unknown id", []string{"Contact.get", "contact_AAAAAAAA"}, "", 1, "no such Contact"},
		{"an unknown type", []string{"Nope.find"}, "", 1, "Nope"},
		{"no id", []string{"Contact.update", "--name", "X"}, "", 2, "needs an id"},
		{"a misspelt verb", []string{"Contact.creat"}, "", 2, `did you mean "create"`},
		{"no number", []string{"Contact.create", "--name", "X", "--leadScore", "much"}, "", 2, "is no number"},
		{"no value", []string{"Contact.create", "--name"}, "", 2, "--name needs a value"},
		{"two formats", []string{"Contact.find", "--json", "--yaml"}, "", 2, "choose one of"},
		{"two ids", []string{"Contact.get", "contact_a", "contact_b"}, "", 2, "unexpected"},
		{"a variable that is not set", []string{"Integration.connect", "--provider", "stripe", "--apiKey", "env:NOT_SET"}, "", 2, "NOT_SET"},
		{"a file that is not there", []string{"Integration.connect", "--provider", "stripe", "--apiKey", "@missing"}, "", 2, "missing"},
		{"a search", []string{"search", "Contact", "--filter", `{"name":"Ada"}`, "--table"}, "", 0, "Ada"},
		{"a search as JSON", []string{"search", "Contact", "--sort", "name", "--limit", "1"}, "", 0, `"hasMore": true`},
		{"a page of a search", []string{"search", "Contact", "--sort", "name", "--limit", "1", "--table"}, "", 0, "1 of 3; go on with --cursor"},
		{"a search for no type", []string{"search"}, "", 2, "search Integration"},
		{"a schema", []string{"fetch", "Schema", "Deal"}, "", 0, "Deal.Won"},
		{"an entity by its id", []string{"fetch", id, "--yaml"}, "", 0, "Ada"},
		{"a program", []string{"do", "await $.Contact.count()"}, "", 0, `"value": 3`},
		{"a program from standard input", []string{"do"}, "1 + 1\n", 0, `"value": 2`},
		{"a program that fails", []string{"do", "throw new Error('no')"}, "", 1, "no"},
		{"SQL as a table", []string{"sql", "select 1 as one, 'x' as text, null as nothing"}, "", 0, "one"},
		{"SQL as CSV", []string{"sql", "--format", "csv", "select 1 as one"}, "", 0, "one"},
		{"SQL as JSON", []string{"sql", "--format", "ndjson", "select 1 as one"}, "", 0, `"one"`},
		{"bad SQL", []string{"sql", "selct 1"}, "", 1, "selct"},
		{"no SQL", []string{"sql"}, "", 2, "no query"},
		{"a format of no kind", []string{"sql", "--format", "xml", "select 1"}, "", 2, "known are"},
		{"times of a list to the second", []string{"Contact.find", "--fields", "name,$createdAt", "--table"}, "", 0, "TIME"},
		{"the status as YAML", []string{"status", "--yaml"}, "", 0, "ready: true"},
		{"no deliveries", []string{"deliveries"}, "", 0, ""},
		{"an unknown event", []string{"trace", "0198-nothing"}, "", 1, ""},
		{"an unknown flag", []string{"status", "--nope"}, "", 2, "unknown flag: --nope"},
		{"an unknown command", []string{"frobnicate"}, "", 2, `unknown command "frobnicate"`},
		{"help of find", []string{"Contact.find", "--help"}, "", 0, "USAGE"},
		{"help of create", []string{"Deal.create", "--help"}, "", 0, "FIELDS"},
		{"help of update", []string{"Contact.update", "-h"}, "", 0, "--stage Partner"},
		{"help of connect", []string{"Integration.connect", "--help"}, "", 0, "env:STRIPE_KEY"},
		{"help of a verb that creates", []string{"Contact.capture", "--help"}, "", 0, "Contact.Captured"},
		{"help of delete", []string{"Issue.delete", "--help"}, "", 0, "--if-version"},
		{"help of a type of one's own", []string{"Widget.create", "--help"}, "", 0, "fetch Schema Widget"},
		{"no gateway", []string{"Contact.find", "--url", "http://" + freeAddr(t)}, "", 1, ": connection refused\n"},
		{"another tenant", []string{"Contact.find", "--tenant", "other"}, "", 1, "tenant"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.args[0] != "status" { // which counts what the other rows make: it comes before them
				t.Parallel()
			}
			a, b := even(native.run(t, row.in, row.args...)), even(npm.run(t, row.in, row.args...))
			if a.code != row.code || !strings.Contains(a.out+a.err, row.want) {
				t.Errorf("%v: got %d %s%s, want %d and %q", row.args, a.code, a.out, a.err, row.code, row.want)
			}
			if a != b {
				t.Errorf("%v\nthe binary: %d\n%s%s\n@headlessly/cli: %d\n%s%s", row.args, a.code, a.out, a.err, b.code, b.out, b.err)
			}
		})
	}
}

func TestTheNPMCommandLineHelpsWithEveryCommand(t *testing.T) {
	g := newGateway(t, "")
	_, npm := shells(t, g)
	overview := npm.run(t, "", "--help").out
	names := regexp.MustCompile(`(?m)^  ([a-z]+) .*  `).FindAllStringSubmatch(overview, -1)
	if len(names) < 12 {
		t.Fatalf("the overview names %d commands:\n%s", len(names), overview)
	}
	for _, name := range names {
		got := npm.run(t, "", name[1], "--help")
		if got.code != 0 || !strings.Contains(got.out, "headlessly "+name[1]) || !strings.Contains(got.out, "--tenant") {
			t.Errorf("%s --help: got %d %s%s", name[1], got.code, got.out, got.err)
		}
	}
}
