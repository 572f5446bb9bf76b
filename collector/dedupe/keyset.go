package dedupe

// keySet is a set of keys, which are evenly spread by themselves: a key's place
// follows from its first bytes, and what is taken there from the places behind
// it. So a lookup touches one cache line mostly. The zero value is empty.
type keySet struct {
	slots []key // zero where free; as many as a power of two
	n     int   // keys in slots
	zero  bool  // the zero key is in the set
}

const firstSlots = 64

// place gives where a key is, or the free slot where it belongs.
func (s *keySet) place(k *key) int {
	mask := uint64(len(s.slots) - 1) //nolint:gosec // a length
	for i := k.high() & mask; ; i = (i + 1) & mask {
		if at := &s.slots[i]; *at == *k || *at == (key{}) {
			return int(i) //nolint:gosec // below a length
		}
	}
}

func (s *keySet) has(k *key) bool {
	if *k == (key{}) {
		return s.zero
	}
	return s.n > 0 && s.slots[s.place(k)] == *k
}

func (s *keySet) add(k *key) {
	if *k == (key{}) {
		s.zero = true
		return
	}
	if s.n >= len(s.slots)/4*3 {
		s.grow()
	}
	if at := &s.slots[s.place(k)]; *at != *k {
		*at = *k
		s.n++
	}
}

func (s *keySet) grow() {
	former := s.slots
	s.slots = make([]key, max(firstSlots, 2*len(former)))
	for i := range former {
		if k := &former[i]; *k != (key{}) {
			s.slots[s.place(k)] = *k
		}
	}
}

func (s *keySet) len() int {
	if s.zero {
		return s.n + 1
	}
	return s.n
}

// appendTo appends the keys to out, in no order.
func (s *keySet) appendTo(out []key) []key {
	if s.zero {
		out = append(out, key{})
	}
	for i := range s.slots {
		if s.slots[i] != (key{}) {
			out = append(out, s.slots[i])
		}
	}
	return out
}
