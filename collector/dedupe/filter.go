package dedupe

import (
	"encoding/binary"
	"math/bits"
)

// filter is a split-block Bloom filter as Parquet defines it: a key sets one
// bit in each of the eight 32-bit words of one 32-byte block, so a lookup
// touches one cache line, or reads 32 bytes of a file. Keys are evenly spread
// already and serve as their own hash.
type filter []byte

const (
	blockBytes    = 32
	filterPerKey  = 2 // bytes: about 1 false answer in 1,500
	wordsPerBlock = blockBytes / 4
)

// salts are the odd multipliers of the Parquet format.
var salts = [wordsPerBlock]uint32{0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31} //nolint:gochecknoglobals // a constant

func filterBlocks(n int64) int64 { return max(1, (n*filterPerKey+blockBytes-1)/blockBytes) }

// blockOf gives the offset of a key's block in a filter of n blocks.
func blockOf(k *key, n int64) int64 {
	high, _ := bits.Mul64(k.high(), uint64(n))
	return int64(high) * blockBytes
}

func (f filter) add(k *key) {
	b := f[blockOf(k, int64(len(f)/blockBytes)):]
	x := uint32(k.low())
	for i := range wordsPerBlock {
		w := binary.LittleEndian.Uint32(b[4*i:])
		binary.LittleEndian.PutUint32(b[4*i:], w|1<<(x*salts[i]>>27))
	}
}

// inBlock says whether a block may hold a key.
func inBlock(b []byte, k *key) bool {
	_ = b[blockBytes-1]
	x := uint32(k.low())
	for i := range wordsPerBlock {
		if binary.LittleEndian.Uint32(b[4*i:])&(1<<(x*salts[i]>>27)) == 0 {
			return false
		}
	}
	return true
}

func (f filter) has(k *key) bool {
	return inBlock(f[blockOf(k, int64(len(f)/blockBytes)):], k)
}
