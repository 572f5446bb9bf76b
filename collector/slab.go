package collector

import "sync"

// freeBody is what every connection may hold: the server has read as much
// before the handler starts. Memory up to it is not counted.
const freeBody = 8 << 10

// slabs lend memory for bodies and records, in sizes that double from freeBody.
// What is larger than the largest is made anew each time. What nobody has at the
// moment stays here, within bounds: in a crowd much memory is lent for seconds,
// and pools that forget at each collection would make it anew every time.
type slabs struct {
	mu    sync.Mutex
	free  [slabSizes][][]byte
	bytes int // in free
}

// maxFreeSlabs bounds the bytes that nobody has.
const maxFreeSlabs = 16 << 20

// slabSizes are sizes up to 8 MiB.
const slabSizes = 11

// slabSize gives the index and the size of the smallest slab for n bytes.
func slabSize(n int) (index, size int) {
	size = freeBody
	for size < n {
		size *= 2
		index++
	}
	return index, size
}

// get gives an empty slab with room for n bytes.
func (s *slabs) get(n int) []byte {
	i, size := slabSize(n)
	if i < slabSizes {
		s.mu.Lock()
		if last := len(s.free[i]) - 1; last >= 0 {
			b := s.free[i][last]
			s.free[i] = s.free[i][:last]
			s.bytes -= size
			s.mu.Unlock()
			return b
		}
		s.mu.Unlock()
	}
	return make([]byte, 0, size)
}

// put takes back what get gave; nobody may use it any more. Memory of other
// sizes, and more than is kept, is left to the garbage collector.
func (s *slabs) put(b []byte) {
	i, size := slabSize(cap(b))
	if size != cap(b) || i >= slabSizes {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+size <= maxFreeSlabs {
		s.free[i] = append(s.free[i], b[:0])
		s.bytes += size
	}
}

// counted is how much of a buffer is on a visit's account.
func counted(b []byte) int64 { return int64(max(cap(b)-freeBody, 0)) }

// widen gives *b room for n bytes, on account of the visit. Its content stays.
func (v *visit) widen(d *door, b *[]byte, n int) bool {
	if n <= cap(*b) {
		return true
	}
	_, size := slabSize(n)
	if !v.reserve(d, int64(size-freeBody)-counted(*b)) {
		return false // what was reserved is given back with the visit
	}
	wide := append(d.slabs.get(size), *b...)
	v.lent(d, b, false)
	*b = wide
	return true
}

// lent gives a buffer back, with what it counts for unless that goes on.
func (v *visit) lent(d *door, b *[]byte, uncount bool) {
	if uncount {
		v.release(counted(*b))
	}
	if b != &v.raw || cap(*b) > freeBody { // else it is the visit's own
		d.slabs.put(*b)
	}
	*b = nil
}
