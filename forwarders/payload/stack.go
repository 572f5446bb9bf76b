package payload

import (
	"encoding/json"
	"slices"
	"strings"
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
	Filename string `json:"filename"`
	AbsPath  string `json:"abs_path"`
	Function string `json:"function"`
	Module   string `json:"module"`
	Lineno   int    `json:"lineno"`
	Colno    int    `json:"colno"`
	InApp    *bool  `json:"in_app"`
}

// Stack reads an event's error stack: the thrown exception first, then its
// causes. The frames of an array stand newest first and are turned; those of an
// object's "frames" already stand as Sentry wants them. A stack that is missing
// or unreadable gives one exception of the event's type and message.
func Stack(text, errorType, message string) []Exception {
	var raw []map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &raw) != nil || len(raw) == 0 {
		if errorType == "" && message == "" {
			return nil
		}
		return []Exception{{Type: errorType, Value: message}}
	}
	out := make([]Exception, 0, len(raw))
	for _, m := range raw {
		x := Exception{Type: Text(m["type"]), Value: Text(m["value"]), Module: Text(m["module"])}
		if x.Value == "" {
			x.Value = Text(m["message"])
		}
		_ = json.Unmarshal(orNull(m["mechanism"]), &x.Mechanism)
		x.Frames = frames(m["stacktrace"])
		if x.Type == "" && x.Value == "" {
			x.Type, x.Value = errorType, message
		}
		out = append(out, x)
	}
	return out
}

func frames(raw json.RawMessage) []Frame {
	var list []json.RawMessage
	turned := json.Unmarshal(orNull(raw), &list) == nil
	if !turned {
		var o struct {
			Frames []json.RawMessage `json:"frames"`
		}
		if json.Unmarshal(raw, &o) != nil {
			return nil
		}
		list = o.Frames
	}
	var out []Frame
	for _, r := range list {
		var f Frame
		if json.Unmarshal(r, &f) == nil {
			out = append(out, f)
		}
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
