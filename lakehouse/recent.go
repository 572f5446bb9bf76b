package lakehouse

import (
	"hash/maphash"

	"github.com/google/uuid"
)

// recent remembers the newest message ids, between half of its size and all of
// it: ids go into the young half, and when that is full it becomes the old one.
// Not safe for concurrent use.
type recent struct {
	seed       maphash.Seed
	half       int
	young, old map[recentKey]struct{}
}

type recentKey struct {
	tenant uint64 // hash: the id alone is nearly unique
	id     uuid.UUID
}

func newRecent(size int) *recent {
	return &recent{seed: maphash.MakeSeed(), half: max(size/2, 1), young: map[recentKey]struct{}{}, old: map[recentKey]struct{}{}}
}

// add notes an id and says whether it is new.
func (r *recent) add(tenant string, id uuid.UUID) bool {
	k := recentKey{maphash.String(r.seed, tenant), id}
	if _, ok := r.young[k]; ok {
		return false
	}
	if _, ok := r.old[k]; ok {
		return false
	}
	if len(r.young) >= r.half {
		r.old, r.young = r.young, make(map[recentKey]struct{}, r.half)
	}
	r.young[k] = struct{}{}
	return true
}

// room is how many ids fit before any is forgotten.
func (r *recent) room() int { return 2*r.half - len(r.young) - len(r.old) }
