package collector

import "testing"

func TestASlabIsLentAgainAndKeptWithinBounds(t *testing.T) {
	var s slabs
	for _, n := range []int{1, freeBody, freeBody + 1, 500_000} {
		b := s.get(n)
		if len(b) != 0 || cap(b) < n {
			t.Fatalf("for %d bytes: got %d of %d", n, len(b), cap(b))
		}
		s.put(append(b, 1))
		again := s.get(n)
		if &b[:1][0] != &again[:1][0] || len(again) != 0 {
			t.Errorf("for %d bytes: another slab, or one that is not empty, is lent though one is free", n)
		}
		s.put(again)
	}
	s = slabs{}
	s.put(make([]byte, 5, freeBody+1)) // of no size of ours
	if s.bytes != 0 {
		t.Errorf("%d bytes are kept of a size that nobody asks for", s.bytes)
	}
	const large = 1 << 20
	for range 3 * maxFreeSlabs / large {
		s.put(make([]byte, 0, large))
	}
	if s.bytes != maxFreeSlabs {
		t.Errorf("%d bytes are kept, want %d", s.bytes, maxFreeSlabs)
	}
	for n := range maxFreeSlabs / large {
		if s.get(large); s.bytes != maxFreeSlabs-(n+1)*large {
			t.Fatalf("%d bytes are kept after %d were lent", s.bytes, n+1)
		}
	}
}
