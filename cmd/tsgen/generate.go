package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/headlessly/headlessly/connectors/graph"
)

const header = "// Generated from the graph's entity types by cmd/tsgen. Do not edit.\n"

// packages are the domains that have an npm package of their own.
var packages = []string{"analytics", "billing", "crm", "marketing", "platform", "projects"} //nolint:gochecknoglobals // a constant table

// generate gives every file by its path below jsclient/packages.
func generate(ts *graph.Types) map[string]string {
	out := map[string]string{"sdk/src/types.gen.ts": sdkTypes(ts), "cli/src/types.gen.ts": cliTypes(ts)}
	for _, domain := range packages {
		out[domain+"/src/index.ts"] = domainIndex(ts, domain)
	}
	return out
}

// sdkTypes is the interface of each type, and of its verbs and hooks.
func sdkTypes(ts *graph.Types) string {
	var b strings.Builder
	b.WriteString(header)
	b.WriteString("import type { AfterHook, BeforeHook, Entity, EntityType, Verb } from './entity.js'\n")
	for _, t := range ts.All() {
		entityInterface(&b, t)
	}
	b.WriteString("\n/** Every entity type by its name. */\nexport interface Entities {\n")
	for _, t := range ts.All() {
		fmt.Fprintf(&b, "  %[1]s: %[1]s\n", t.Name)
	}
	b.WriteString("}\n")
	for _, t := range ts.All() {
		typeInterface(&b, t)
	}
	b.WriteString("\n/** The types of the graph, with the verbs and hooks of each. */\nexport interface EntityTypes {\n")
	for _, t := range ts.All() {
		fmt.Fprintf(&b, "  %[1]s: %[1]sType\n", t.Name)
	}
	b.WriteString("}\n")
	return b.String()
}

func entityInterface(b *strings.Builder, t *graph.Type) {
	fmt.Fprintf(b, "\n/** %s (%s). */\nexport interface %s extends Entity {\n  readonly $type: '%s'\n", t.Name, t.Domain, t.Name, t.Name)
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.Kind == graph.KindSecret {
			continue // accepted as an argument, never part of the entity
		}
		optional := "?"
		if f.Required {
			optional = ""
		}
		fmt.Fprintf(b, "  %s%s: %s\n", f.Name, optional, fieldType(f))
	}
	b.WriteString("}\n")
	fmt.Fprintf(b, "\n/** What a caller may set of %s %s; unknown fields are kept. */\nexport interface %sInput {\n", article(t.Name), t.Name, t.Name)
	for i := range t.Fields {
		f := &t.Fields[i]
		switch {
		case f.Kind == graph.KindBack || strings.Contains(f.Name, "."):
		case f.Kind == graph.KindSecret && f.Name == "headers":
			fmt.Fprintf(b, "  %s?: Record<string, string>\n", f.Name)
		case f.Kind == graph.KindSecret:
			fmt.Fprintf(b, "  /** A credential: stored sealed, never shown again. */\n  %s?: string | undefined\n", f.Name)
		default:
			fmt.Fprintf(b, "  %s?: %s | null | undefined\n", f.Name, fieldType(f))
		}
	}
	b.WriteString("  [field: string]: unknown\n}\n")
}

func article(name string) string {
	if strings.ContainsRune("AEIOU", rune(name[0])) {
		return "an"
	}
	return "a"
}

// fieldType is a field's TypeScript type.
func fieldType(f *graph.Field) string {
	var s string
	switch f.Kind {
	case graph.KindInt, graph.KindNumber:
		s = "number"
	case graph.KindBool:
		s = "boolean"
	case graph.KindJSON:
		s = "any"
	case graph.KindEnum:
		quoted := make([]string, len(f.Enum))
		for i, v := range f.Enum {
			quoted[i] = "'" + v + "'"
		}
		s = strings.Join(quoted, " | ")
		if f.List {
			s = "(" + s + ")"
		}
	case graph.KindBack:
		return "string[]"
	default: // strings, times, references
		s = "string"
	}
	if f.List {
		s += "[]"
	}
	return s
}

// typeInterface declares a type's own verbs and its hooks.
func typeInterface(b *strings.Builder, t *graph.Type) {
	fmt.Fprintf(b, "\n/** The verbs and hooks of %s. */\nexport interface %sType extends EntityType<%s, %sInput> {\n", t.Name, t.Name, t.Name, t.Name)
	members := members{doc: map[string]string{}, kinds: map[string][]string{}}
	for i := range t.Verbs {
		if v := &t.Verbs[i]; !v.Builtin {
			members.add(v.Name, "Verb<"+t.Name+", "+t.Name+"Input>", "Does "+t.Name+"."+v.Event+".")
		}
	}
	for i := range t.Verbs {
		v := &t.Verbs[i]
		members.add(v.Gerund, "BeforeHook<"+t.Name+">", "Before "+v.Name+": may change the draft; a throw vetoes.")
		members.add(v.Past, "AfterHook<"+t.Name+">", "After "+t.Name+"."+v.Event+".")
	}
	for _, e := range t.Events {
		members.add(strings.ToLower(e[:1])+e[1:], "AfterHook<"+t.Name+">", "After "+t.Name+"."+e+".")
	}
	for _, name := range members.names {
		fmt.Fprintf(b, "  /** %s */\n  %s: %s\n", members.doc[name], name, strings.Join(members.kinds[name], " & "))
	}
	b.WriteString("}\n")
}

// members are an interface's, in order. One name may be several things: reset
// is a verb, and the past of that verb.
type members struct {
	names []string
	doc   map[string]string
	kinds map[string][]string
}

func (m *members) add(name, kind, doc string) {
	switch kinds := m.kinds[name]; {
	case kinds == nil:
		m.names = append(m.names, name)
		m.doc[name] = doc
	case slices.Contains(kinds, kind):
		return
	default:
		m.doc[name] += " " + doc
	}
	m.kinds[name] = append(m.kinds[name], kind)
}

// cliTypes is what the command line knows of the types: how to read a value
// and what to say in help.
func cliTypes(ts *graph.Types) string {
	var b strings.Builder
	b.WriteString(header)
	b.WriteString("import type { TypeInfo } from './arguments.js'\n\nexport const types: Record<string, TypeInfo> = {\n")
	for _, t := range ts.All() {
		var help strings.Builder
		_ = t.Help(&help) // a builder takes everything
		fmt.Fprintf(&b, "  %s: {\n    fields: {\n", t.Name)
		for i := range t.Fields {
			f := &t.Fields[i]
			fmt.Fprintf(&b, "      '%s': { kind: '%s', list: %t, required: %t", f.Name, f.Kind, f.List, f.Required)
			if f.Kind == graph.KindEnum {
				fmt.Fprintf(&b, ", last: '%s'", f.Enum[len(f.Enum)-1])
			}
			b.WriteString(" },\n")
		}
		b.WriteString("    },\n    verbs: {\n")
		for i := range t.Verbs {
			v := &t.Verbs[i]
			fmt.Fprintf(&b, "      %s: { event: '%s', creates: %t },\n", v.Name, v.Event, v.Creates)
		}
		fmt.Fprintf(&b, "    },\n    help: %s,\n  },\n", strconv.Quote(help.String()))
	}
	b.WriteString("}\n")
	return b.String()
}

// domainIndex is the package of one domain.
func domainIndex(ts *graph.Types, domain string) string {
	var names []string
	for _, t := range ts.All() {
		if t.Domain == domain {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString(header)
	b.WriteString("import { $ } from '@headlessly/sdk'\nimport type * as sdk from '@headlessly/sdk'\n\nexport { $, Headlessly, HeadlesslyError } from '@headlessly/sdk'\n")
	for _, n := range names {
		fmt.Fprintf(&b, "\n/** %[1]s %[2]s as it is read. */\nexport type %[2]s = sdk.%[2]s\n/** The verbs, finds and hooks of %[2]s, for the tenant that the environment names. */\nexport const %[2]s: sdk.EntityTypes['%[2]s'] = $.%[2]s\n", capital(article(n)), n)
	}
	return b.String()
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
