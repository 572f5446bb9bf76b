package graph

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// derivedBits keep a derived id within [maxIDChars]; two of a million share one
// with a probability of one in a million.
const derivedBits = 59

// DerivedID gives the id of an entity that stands for something outside the
// graph, always the same for the same parts. It names one that may not be there
// yet, and goes into [Op].NewID when it is made.
func (s *Store) DerivedID(typ string, parts ...string) (string, error) {
	t, err := s.types.Lookup(typ)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	id, err := s.ids.codec.Encode(binary.LittleEndian.Uint64(sum[:8]) >> (64 - derivedBits))
	return t.IDPrefix() + id, err
}
