package worker

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/headlessly/headlessly/connectors/sandbox/internal/wire"
)

// imported finds imports of the SDK's packages, whose names $ holds.
var imported = regexp.MustCompile(`(?m)^[ \t]*import[ \t]+(type[ \t]+)?\{([^}]*)\}[ \t]*from[ \t]*['"]@headlessly/[a-z]+['"][ \t]*;?`)

// localImports turns the SDK's imports into names of $, so that code written
// for the SDK runs as it is. Lines stay where they are.
func localImports(source string) string {
	return imported.ReplaceAllStringFunc(source, func(s string) string {
		m := imported.FindStringSubmatch(s)
		var names []string
		for name := range strings.SplitSeq(m[2], ",") {
			name = strings.TrimSpace(name)
			if from, to, ok := strings.Cut(name, " as "); ok {
				name = strings.TrimSpace(from) + ": " + strings.TrimSpace(to)
			}
			if name != "" && name != "$" && !strings.HasPrefix(name, "type ") {
				names = append(names, name)
			}
		}
		lines := strings.Repeat("\n", strings.Count(s, "\n"))
		if m[1] != "" || len(names) == 0 {
			return lines
		}
		return "var {" + strings.Join(names, ", ") + "} = $;" + lines
	})
}

// leftover finds an import that the compiled code still has.
var leftover = regexp.MustCompile(`(?m)^import\b[^;(]*?(["'][^"']*["'])|\brequire\((["'][^"']*["'])\)`)

// global is the variable that a handler's module is kept in.
const global = "__program"

// script compiles code that is run for the value of its last expression, or
// for what it returns.
func script(source string) (string, *wire.Error) {
	source = localImports(source)
	if strings.Contains(source, "return") {
		if _, fault := transform(source+"\nexport {}", api.FormatDefault); fault != nil && strings.Contains(fault.Message, "return") {
			return transform("(async () => {"+source+"\n})()", api.FormatDefault) // the code is on the same lines
		}
	}
	return transform(source, api.FormatDefault)
}

// handler compiles code that is a function, or a module that exports one as
// its default.
func handler(source string) (string, *wire.Error) {
	source = strings.TrimRight(strings.TrimSpace(localImports(source)), ";")
	if code, fault := transform("export default ("+source+"\n)", api.FormatIIFE); fault == nil {
		return code, nil
	}
	return transform(source, api.FormatIIFE)
}

// transform takes the types off.
func transform(source string, format api.Format) (string, *wire.Error) {
	o := api.TransformOptions{Loader: api.LoaderTS, Target: api.ES2023, Format: format, LogLevel: api.LogLevelSilent, Sourcefile: file, Charset: api.CharsetUTF8}
	if format == api.FormatIIFE {
		o.GlobalName = global
	}
	r := api.Transform(source, o)
	if len(r.Errors) == 0 {
		if m := leftover.FindStringSubmatch(string(r.Code)); m != nil {
			return "", &wire.Error{Code: wire.CodeSyntax, Name: "SyntaxError", Message: "import from " + m[1] + ": only @headlessly/… can be imported here; there are no other modules, files or networks"}
		}
		return string(r.Code), nil
	}
	e := r.Errors[0]
	fault := &wire.Error{Code: wire.CodeSyntax, Name: "SyntaxError", Message: e.Text}
	if e.Location != nil {
		fault.Line, fault.Column = e.Location.Line, e.Location.Column+1
		fault.Message = fmt.Sprintf("line %d: %s: %s", fault.Line, e.Text, strings.TrimSpace(e.Location.LineText))
	}
	return "", fault
}

// file is the program's name in messages and stacks.
const file = "program.ts"
