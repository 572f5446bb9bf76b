package jsontext_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly/collector/jsontext"
)

// touch reads every string and key of a value, as decoding does: from then on
// the library writes them anew.
func touch(v *fastjson.Value) {
	switch v.Type() {
	case fastjson.TypeArray:
		for _, x := range v.GetArray() {
			touch(x)
		}
	case fastjson.TypeObject:
		v.GetObject().Visit(func(_ []byte, x *fastjson.Value) { touch(x) })
	}
}

// FuzzValue: a text that was parsed, read and written says the same to
// encoding/json as before.
func FuzzValue(f *testing.F) {
	for _, s := range []string{
		`"\u0005\u0007\u000b\u007f"`, `{"\u0001":"\u000b","a\\x05":"\\a"}`, `"\udb40\udc01"`, `["\u200b","\u0085","é😀"]`, `"\\\\x41\\U00000041"`, `{"a":[1,2.5e3,null,true]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want, got any
		// Repeated keys and lone surrogates have no one meaning.
		if json.Unmarshal(text, &want) != nil || strings.Contains(strings.ToLower(string(text)), `\ud`) && !json.Valid(text) {
			return
		}
		v, err := fastjson.ParseBytes(text)
		if err != nil {
			return
		}
		touch(v)
		out := jsontext.Value(v)
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%q was written as %q: %v", text, out, err)
		}
		if !strings.Contains(strings.ToLower(string(text)), `\ud`) && strings.ToValidUTF8(string(text), "") == string(text) && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q was written as %q", text, out)
		}
	})
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "plain", "\x00\a\v\x1f\x7f", `"\`, "é😀\U000e0001", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		out := jsontext.AppendString([]byte("x"), s)
		if err := json.Unmarshal(out[1:], &got); err != nil {
			t.Fatalf("%q was written as %q: %v", s, out, err)
		}
		var want []rune
		for _, r := range s { // each bad byte is one U+FFFD
			want = append(want, r)
		}
		if got != string(want) {
			t.Fatalf("got %q, want %q", got, string(want))
		}
	})
}
