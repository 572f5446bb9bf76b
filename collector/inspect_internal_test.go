package collector

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/headlessly/headlessly"
)

// texts are JSON and what is nearly so.
func texts() []string {
	long := strings.Repeat("a", 100)
	return []string{
		``, ` `, `{}`, `[]`, ` [ ] `, `{"a":1}`, `{"a":1,}`, `{"a"}`, `{"a":}`, `{,}`, `{a:1}`, `{"a":1 "b":2}`, `[1,2,3]`, `[1,2,]`, `[,1]`, `[1 2]`, `[}`, `{]`, `[[[]]]`, `[{"a":[{}]}]`,
		`0`, `-0`, `01`, `-`, `1.`, `.5`, `1.5`, `1.2.3`, `1e5`, `1E+5`, `1e-`, `1e`, `-1.5e-3`, `+1`, `0x10`, `Infinity`, `NaN`, `-a`,
		`true`, `tru`, `truex`, `false`, `null`, `nul`, `True`, `true false`, `{} {}`, "\ufeff{}", "{}\x00",
		`""`, `"`, `"a`, `"\`, `"\"`, `"\""`, `"\x"`, `"\u00e9"`, `"\u00g9"`, `"\u00"`, `"\ud800"`, "\"a\nb\"", "\"\x1f\"", "\"\x7f\"", "\"\xff\"", "\"é" + long + "\"", "\"" + long + "\x01\"",
		`"` + long + `\n` + long + `"`, `"` + long + `\q` + long + `"`, `{"` + long + `":"` + long + `"}`, "\"1234567\"", "\"12345678\"", "\"1234567\x1e\"", "\"123456\\\"\"",
		strings.Repeat("[", 32) + strings.Repeat("]", 32), strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 32), "[1 ,\t2\r\n]", "{\"a\" : { } , \"b\" : [ ] }",
	}
}

// checkInspect compares with encoding/json, and with scan where the text is JSON.
func checkInspect(t *testing.T, text []byte) {
	t.Helper()
	const deep = headlessly.MaxJSONDepth
	s, err := inspect(text)
	if errors.Is(err, errTooDeep) {
		if want := scan(text, deep).depth; want <= deep {
			t.Errorf("%q: too deep, but its depth is %d", text, want)
		}
		return
	}
	if want := json.Valid(text); (err == nil) != want {
		t.Fatalf("%q: got %v, encoding/json says valid: %v", text, err, want)
	}
	if err != nil {
		return
	}
	want := scan(text, deep)
	want.ascii = strings.IndexFunc(string(text), func(r rune) bool { return r > 0x7f }) < 0
	if s != want {
		t.Errorf("%q: got %+v, want %+v", text, s, want)
	}
}

func TestWhatIsJSONIsWhatEncodingJSONTakes(t *testing.T) {
	for _, text := range texts() {
		checkInspect(t, []byte(text))
		for cut := range len(text) { // and cut off anywhere
			checkInspect(t, []byte(text[:cut]))
		}
	}
}

func TestADepthBombIsSeenBeforeItsEnd(t *testing.T) {
	for _, text := range []string{strings.Repeat("[", 33), strings.Repeat(`{"a":`, 33), strings.Repeat(`[{"a":`, 1_000_000)} {
		if _, err := inspect([]byte(text)); !errors.Is(err, errTooDeep) {
			t.Errorf("%.40q: got %v", text, err)
		}
	}
}

// FuzzInspect compares with encoding/json.
func FuzzInspect(f *testing.F) {
	for _, text := range texts() {
		f.Add([]byte(text))
	}
	f.Add([]byte(stageEvent))
	f.Fuzz(checkInspect)
}
