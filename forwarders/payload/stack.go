package payload

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/valyala/fastjson"
)

// Exception is one of an error's chain.
type Exception struct {
	Type      string
	Value     string
	Module    string
	Mechanism map[string]json.RawMessage
	Frames    []Frame // caller first, crashing frame last
}

// Frame is one line of a stack.
type Frame struct {
	Filename string
	AbsPath  string
	Function string
	Module   string
	Lineno   int
	Colno    int
	InApp    *bool
}

// Stack reads an event's error stack: the thrown exception first, then its
// causes. The frames of an array stand newest first and are turned; those of an
// object's "frames" already stand as Sentry wants them. A stack that is missing
// or unreadable gives one exception of the event's type and message.
func Stack(text, errorType, message string) []Exception {
	var p fastjson.Parser
	v, err := p.Parse(text)
	if err != nil || v.Type() != fastjson.TypeArray || len(v.GetArray()) == 0 {
		if errorType == "" && message == "" {
			return nil
		}
		return []Exception{{Type: errorType, Value: message}}
	}
	out := make([]Exception, 0, len(v.GetArray()))
	for _, m := range v.GetArray() {
		x := Exception{Type: textOf(m.Get("type")), Value: textOf(m.Get("value")), Module: textOf(m.Get("module"))}
		if x.Value == "" {
			x.Value = textOf(m.Get("message"))
		}
		if o := m.GetObject("mechanism"); o != nil && o.Len() > 0 {
			x.Mechanism = make(map[string]json.RawMessage, o.Len())
			o.Visit(func(key []byte, v *fastjson.Value) { x.Mechanism[string(key)] = v.MarshalTo(nil) })
		}
		x.Frames = frames(m.Get("stacktrace"))
		if x.Type == "" && x.Value == "" {
			x.Type, x.Value = errorType, message
		}
		out = append(out, x)
	}
	return out
}

// textOf gives a string or a number as text, "" for anything else.
func textOf(v *fastjson.Value) string {
	if v == nil {
		return ""
	}
	switch v.Type() {
	case fastjson.TypeString:
		return string(v.GetStringBytes())
	case fastjson.TypeNumber:
		return string(v.MarshalTo(nil))
	}
	return ""
}

func frames(v *fastjson.Value) []Frame {
	if v == nil {
		return nil
	}
	turned := v.Type() == fastjson.TypeArray
	list := v.GetArray()
	if !turned {
		list = v.GetArray("frames")
	}
	if len(list) == 0 {
		return nil
	}
	out := make([]Frame, 0, len(list))
	for _, r := range list {
		if r.Type() != fastjson.TypeObject {
			continue
		}
		f := Frame{
			Filename: textOf(r.Get("filename")), AbsPath: textOf(r.Get("abs_path")), Function: textOf(r.Get("function")), Module: textOf(r.Get("module")),
			Lineno: r.GetInt("lineno"), Colno: r.GetInt("colno"),
		}
		if in := r.Get("in_app"); in != nil && (in.Type() == fastjson.TypeTrue || in.Type() == fastjson.TypeFalse) {
			own := in.Type() == fastjson.TypeTrue
			f.InApp = &own
		}
		out = append(out, f)
	}
	if turned {
		slices.Reverse(out)
	}
	return out
}

// Fingerprint gives the parts of a fingerprint that the client chose, nil for
// the one that the gateway computes itself (16 hexadecimal digits): providers
// group by their own rules unless told otherwise.
func Fingerprint(text string) []string {
	if text == "" || len(text) == 16 && strings.Trim(text, "0123456789abcdef") == "" {
		return nil
	}
	return strings.Split(text, "|")
}
