package graph

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/headlessly/headlessly/connectors/graph/sqid"
)

const (
	// idAlphabet is a fixed shuffle, so that our ids differ from those of the
	// default alphabet. It is part of nothing stored and may change.
	idAlphabet = "mUk5Z1EqatyliD92vOwWsFCRV7QMrbNH6YohKXSJTp3ABfcnG4LxgI0edPzj8u"
	minIDChars = 8
	maxIDChars = 12
	// idBits of randomness make ids of 10 characters. An id that is taken
	// nevertheless is found by the log's compare-and-set and made anew.
	idBits = 53
)

// ids makes new ids from random numbers.
type ids struct {
	codec *sqid.Codec
	rand  io.Reader
}

func newIDs(rand io.Reader) (*ids, error) {
	codec, err := sqid.New(sqid.Options{Alphabet: idAlphabet, MinLength: minIDChars})
	if err != nil {
		return nil, err
	}
	return &ids{codec: codec, rand: rand}, nil
}

// make gives a new id with this prefix ("contact_").
func (m *ids) make(prefix string) (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(m.rand, b[:]); err != nil {
		return "", fmt.Errorf("randomness for an id: %w", err)
	}
	s, err := m.codec.Encode(binary.LittleEndian.Uint64(b[:]) >> (64 - idBits))
	return prefix + s, err
}

// validSqid says whether s has the form of an id's second part. Ids of other
// installations are taken as they are.
func validSqid(s string) bool {
	if len(s) < minIDChars || len(s) > maxIDChars {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
