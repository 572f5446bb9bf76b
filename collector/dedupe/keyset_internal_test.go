package dedupe

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// TestAKeySetIsASet compares with a map, with keys that share their places as
// well as with ones that are evenly spread.
func TestAKeySetIsASet(t *testing.T) {
	for _, c := range []struct {
		name   string
		places uint64 // of the first eight bytes
	}{{"evenly spread", 0}, {"all in one place", 1}, {"in four places", 4}} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, c.places)) //nolint:gosec // seeded on purpose
			some := func() (k key) {
				high := r.Uint64()
				if c.places > 0 {
					high %= c.places
				}
				binary.BigEndian.PutUint64(k[:8], high)
				binary.BigEndian.PutUint64(k[8:], r.Uint64N(3000)) // repeated now and then
				return k
			}
			var got keySet
			want := map[key]bool{}
			if got.has(&key{}) {
				t.Error("the empty set has the zero key")
			}
			for range 4000 {
				k := some()
				if got.has(&k) != want[k] {
					t.Fatalf("%x: in the set %v, want %v", k, got.has(&k), want[k])
				}
				got.add(&k)
				want[k] = true
				if got.len() != len(want) {
					t.Fatalf("%d keys, want %d", got.len(), len(want))
				}
			}
			got.add(&key{})
			want[key{}] = true
			seen := map[key]bool{}
			for _, k := range got.appendTo(nil) {
				if seen[k] || !want[k] {
					t.Errorf("%x is given twice, or was never added", k)
				}
				seen[k] = true
			}
			if len(seen) != len(want) {
				t.Errorf("%d of %d keys are given", len(seen), len(want))
			}
		})
	}
}
