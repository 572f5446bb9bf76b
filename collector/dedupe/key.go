package dedupe

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"
)

// key is an id as the index holds it: the UUID, blinded by its tenant and
// encrypted with the index's secret. Within a tenant that is a one-to-one map,
// so the index is exact; across tenants two keys meet with probability 2⁻¹²⁸.
// The result is evenly spread whatever ids clients choose, which filters and
// shards rely on.
type key [16]byte

func compareKeys(a, b key) int { return bytes.Compare(a[:], b[:]) }

func (k *key) high() uint64 { return binary.BigEndian.Uint64(k[:8]) }
func (k *key) low() uint64  { return binary.BigEndian.Uint64(k[8:]) }

// keyer makes keys.
type keyer struct {
	block  cipher.Block
	secret [secretBytes]byte
}

const secretBytes = 32

func newKeyer(secret [secretBytes]byte) (*keyer, error) {
	b, err := aes.NewCipher(secret[:16])
	if err != nil {
		return nil, err
	}
	return &keyer{block: b, secret: secret}, nil
}

// tenant gives the blinding of a tenant's ids.
func (k *keyer) tenant(name string, scratch []byte) (key, []byte) {
	scratch = append(append(scratch[:0], k.secret[16:]...), name...)
	sum := sha256.Sum256(scratch)
	return key(sum[:16]), scratch
}

// encrypt turns an id into dst.
func (k *keyer) encrypt(dst *key, tenant key, id string) {
	u, err := uuid.Parse(id)
	if err != nil { // the collector makes every id a UUID; anything else is taken by its hash
		sum := sha256.Sum256([]byte(id))
		u = uuid.UUID(sum[:16])
	}
	for i := range dst {
		dst[i] = u[i] ^ tenant[i]
	}
	k.block.Encrypt(dst[:], dst[:])
}
