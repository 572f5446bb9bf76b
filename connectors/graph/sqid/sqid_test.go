package sqid_test

import (
	_ "embed"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/connectors/graph/sqid"
)

// vectors are [numbers, id by default options, id by a shuffled alphabet of
// least length 8], made by the project's JavaScript package, version 0.3.0. The
// last 40 are numbers whose first id holds a blocked word.
//
//go:embed testdata/vectors.json
var vectors []byte

const shuffled = "k3G7QAe51FCsPW92uEOyq4Bg6Sp8YzVTmnU0liwDdHXLajZrfxNhobJIRcMvKt"

func codec(t testing.TB, o sqid.Options) *sqid.Codec {
	t.Helper()
	c, err := sqid.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encode(t testing.TB, c *sqid.Codec, numbers ...uint64) string {
	t.Helper()
	id, err := c.Encode(numbers...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestIDsAreThoseOfTheProjectsOwnPackage(t *testing.T) {
	var rows [][3]json.RawMessage
	if err := json.Unmarshal(vectors, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) < 400 {
		t.Fatalf("got %d vectors", len(rows))
	}
	plain, padded := codec(t, sqid.Options{}), codec(t, sqid.Options{Alphabet: shuffled, MinLength: 8})
	for _, row := range rows {
		var numbers []uint64
		var wantPlain, wantPadded string
		if err := errors.Join(json.Unmarshal(row[0], &numbers), json.Unmarshal(row[1], &wantPlain), json.Unmarshal(row[2], &wantPadded)); err != nil {
			t.Fatal(err)
		}
		if got := encode(t, plain, numbers...); got != wantPlain {
			t.Errorf("%d: got %s, want %s", numbers, got, wantPlain)
		}
		if got := encode(t, padded, numbers...); got != wantPadded {
			t.Errorf("%d: got %s, want %s", numbers, got, wantPadded)
		}
		if got := plain.Decode(wantPlain); !slices.Equal(got, numbers) {
			t.Errorf("%s: got %d, want %d", wantPlain, got, numbers)
		}
		if got := padded.Decode(wantPadded); !slices.Equal(got, numbers) {
			t.Errorf("%s: got %d, want %d", wantPadded, got, numbers)
		}
	}
}

func TestPublishedExamples(t *testing.T) {
	blocked := []string{"JSwXFaosAN", "OCjV9JK64o", "rBHf", "79SM", "7tE6"}
	for _, tc := range []struct {
		name    string
		options sqid.Options
		numbers []uint64
		want    string
	}{
		{"three numbers", sqid.Options{}, []uint64{1, 2, 3}, "86Rf07"},
		{"padded", sqid.Options{MinLength: 13}, []uint64{1, 2, 3}, "86Rf07xd4zBmi"},
		{"padded beyond the alphabet", sqid.Options{MinLength: 65}, []uint64{1, 2, 3}, "86Rf07xd4zBmiJXQG6otHEbew02c3PWsUOLZxADhCpKj7aVFv9I8RquYrNlSTMyf1"},
		{"default words", sqid.Options{}, []uint64{4572721}, "JExTR"},
		{"no words", sqid.Options{Blocklist: []string{}}, []uint64{4572721}, "aho1e"},
		{"blocked five times over", sqid.Options{Blocklist: blocked}, []uint64{1_000_000, 2_000_000}, "1aYeB7bRUt"},
		{"lower-case word, upper-case alphabet", sqid.Options{Alphabet: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Blocklist: []string{"sxnzkl"}}, []uint64{1, 2, 3}, "IBSHOZ"},
		{"no numbers", sqid.Options{}, nil, ""},
	} {
		c := codec(t, tc.options)
		if got := encode(t, c, tc.numbers...); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
		if got := c.Decode(tc.want); !slices.Equal(got, tc.numbers) {
			t.Errorf("%s: decoded %d, want %d", tc.name, got, tc.numbers)
		}
	}
}

func TestLargestNumberSurvives(t *testing.T) {
	c := codec(t, sqid.Options{Alphabet: shuffled, MinLength: 8})
	for _, n := range []uint64{0, 1, math.MaxUint32, math.MaxUint64} {
		if got := c.Decode(encode(t, c, n)); !reflect.DeepEqual(got, []uint64{n}) {
			t.Errorf("got %d, want %d", got, n)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]sqid.Options{
		"not ASCII":       {Alphabet: "abcé"},
		"repeated letter": {Alphabet: "abca"},
		"too short":       {Alphabet: "ab"},
		"negative length": {MinLength: -1},
		"length above":    {MinLength: 256},
	} {
		if _, err := sqid.New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestWhatCannotBeAnIDHasNoNumbers(t *testing.T) {
	c := codec(t, sqid.Options{})
	for _, id := range []string{"", "*", "ab*c", "é"} {
		if got := c.Decode(id); got != nil {
			t.Errorf("%q: got %d", id, got)
		}
	}
}

func TestEveryIDBlockedIsAnError(t *testing.T) {
	c := codec(t, sqid.Options{Alphabet: "abc", MinLength: 3, Blocklist: []string{"cab", "abc", "bca"}})
	if id, err := c.Encode(0); !errors.Is(err, sqid.ErrBlocked) {
		t.Errorf("got %q, %v", id, err)
	}
}

func FuzzDecode(f *testing.F) {
	c := codec(f, sqid.Options{Alphabet: shuffled, MinLength: 8})
	f.Add("PVjADUGN")
	f.Add(strings.Repeat("k", 40))
	f.Fuzz(func(t *testing.T, id string) {
		numbers := c.Decode(id)
		if len(numbers) == 0 {
			return
		}
		if got := c.Decode(encode(t, c, numbers...)); !slices.Equal(got, numbers) {
			t.Errorf("%q: got %d, want %d", id, got, numbers)
		}
	})
}
