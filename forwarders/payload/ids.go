package payload

import (
	"hash/fnv"
	"strconv"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
)

// Visitor gives the id that stands for an event's visitor: the user, else the
// anonymous id, else the event's own id; never "".
func Visitor(e *headlessly.Event) string {
	switch {
	case e.UserID != "":
		return e.UserID
	case e.AnonymousID != "":
		return e.AnonymousID
	case e.SessionID != "":
		return e.SessionID
	}
	return e.MessageID
}

// Hash is a stable number for text.
func Hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return h.Sum64()
}

// Seconds gives the second in which a UUIDv7 was made, or ok false.
func Seconds(id string) (int64, bool) {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return 0, false
	}
	var ms int64
	for _, b := range u[:6] {
		ms = ms<<8 | int64(b)
	}
	return ms / 1000, true
}

// IsV7 says whether id is a UUIDv7.
func IsV7(id string) bool {
	_, ok := Seconds(id)
	return ok
}

// Numbers makes a two-number id ("random.seconds"), the form of Google's client
// ids, from any id; the same id gives the same numbers.
func Numbers(id string) string {
	h := Hash(id)
	seconds, ok := Seconds(id)
	if !ok {
		seconds = 1_000_000_000 + int64(h>>32)%500_000_000
	}
	return strconv.FormatUint(uint64(uint32(h))|1<<30, 10) + "." + strconv.FormatInt(seconds, 10) //nolint:gosec // a hash is cut on purpose
}
