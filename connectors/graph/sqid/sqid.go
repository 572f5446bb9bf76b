package sqid

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// DefaultAlphabet is the alphabet that an empty [Options] uses.
const DefaultAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// Limits of the published algorithm.
const (
	minAlphabet  = 3
	maxMinLength = 255
)

var (
	errNonASCII  = errors.New("sqid: the alphabet must be ASCII")
	errRepeated  = errors.New("sqid: the alphabet repeats a character")
	errShort     = errors.New("sqid: the alphabet needs at least 3 characters")
	errMinLength = errors.New("sqid: the least length must be 0 to 255")
	// ErrBlocked means that every id for these numbers holds a listed word.
	ErrBlocked = errors.New("sqid: every id for these numbers holds a blocked word")
)

// Options choose among families of ids. The zero value is the project's
// default.
type Options struct {
	Alphabet  string // [DefaultAlphabet] unless set
	MinLength int    // ids are padded to it
	// Blocklist are words that no id may hold, whatever the case; nil stands
	// for the project's own list.
	Blocklist []string
}

// Codec makes ids and reads them. It never changes after New and is safe for
// concurrent use.
type Codec struct {
	alphabet string // shuffled once
	min      int
	words    words
}

// New checks the options and prepares a codec.
func New(o Options) (*Codec, error) {
	if o.Alphabet == "" {
		o.Alphabet = DefaultAlphabet
	}
	if o.Blocklist == nil {
		o.Blocklist = defaultWords()
	}
	switch {
	case strings.IndexFunc(o.Alphabet, func(r rune) bool { return r >= 0x80 }) >= 0:
		return nil, errNonASCII
	case len(o.Alphabet) < minAlphabet:
		return nil, errShort
	case o.MinLength < 0 || o.MinLength > maxMinLength:
		return nil, errMinLength
	}
	for i := range len(o.Alphabet) {
		if strings.IndexByte(o.Alphabet, o.Alphabet[i]) != i {
			return nil, errRepeated
		}
	}
	letters := []byte(o.Alphabet)
	shuffle(letters)
	return &Codec{alphabet: string(letters), min: o.MinLength, words: pick(o.Blocklist, o.Alphabet)}, nil
}

// Encode gives the id of a list of numbers; no numbers give "".
func (c *Codec) Encode(numbers ...uint64) (string, error) {
	if len(numbers) == 0 {
		return "", nil
	}
	for attempt := range len(c.alphabet) + 1 {
		if id := c.encode(numbers, attempt); !c.words.in(id) {
			return id, nil
		}
	}
	return "", fmt.Errorf("%w: %d", ErrBlocked, numbers)
}

// encode makes the id of one attempt: the numbers and the attempt choose how
// far the alphabet is turned, and its first letter then leads the id.
func (c *Codec) encode(numbers []uint64, attempt int) string {
	n := len(c.alphabet)
	turn := len(numbers)
	for i, v := range numbers {
		turn += int(c.alphabet[v%uint64(n)]) + i
	}
	letters := c.turned((turn%n + attempt) % n)
	id := append(make([]byte, 0, max(c.min, 16)), letters[0])
	slices.Reverse(letters)
	for i, v := range numbers {
		if i > 0 {
			id = append(id, letters[0])
			shuffle(letters)
		}
		id = appendDigits(id, v, letters[1:])
	}
	if len(id) < c.min {
		id = append(id, letters[0])
		for len(id) < c.min {
			shuffle(letters)
			id = append(id, letters[:min(c.min-len(id), n)]...)
		}
	}
	return string(id)
}

// Decode gives the numbers of an id, none when it cannot be one. Several ids
// may decode to the same numbers; only what Encode gives for them is canonical.
func (c *Codec) Decode(id string) []uint64 {
	if id == "" || strings.IndexFunc(id, func(r rune) bool { return !strings.ContainsRune(c.alphabet, r) }) >= 0 {
		return nil
	}
	letters := c.turned(strings.IndexByte(c.alphabet, id[0]))
	slices.Reverse(letters)
	var numbers []uint64
	for rest := id[1:]; rest != ""; {
		digits, more, separated := strings.Cut(rest, string(letters[:1]))
		if digits == "" { // the padding begins here
			return numbers
		}
		numbers = append(numbers, value(digits, letters[1:]))
		if separated {
			shuffle(letters)
		}
		rest = more
	}
	return numbers
}

// turned is the alphabet with its first k letters moved to the end.
func (c *Codec) turned(k int) []byte {
	letters := make([]byte, 0, len(c.alphabet))
	letters = append(letters, c.alphabet[k:]...)
	return append(letters, c.alphabet[:k]...)
}

// shuffle is the fixed permutation of the algorithm.
func shuffle(letters []byte) {
	n := len(letters)
	for i, j := 0, n-1; j > 0; i, j = i+1, j-1 {
		k := (i*j + int(letters[i]) + int(letters[j])) % n
		letters[i], letters[k] = letters[k], letters[i]
	}
}

// appendDigits writes v in the number system whose digits are letters.
func appendDigits(id []byte, v uint64, letters []byte) []byte {
	start, base := len(id), uint64(len(letters))
	for {
		id = append(id, letters[v%base])
		if v /= base; v == 0 {
			break
		}
	}
	slices.Reverse(id[start:])
	return id
}

// value reads what appendDigits wrote.
func value(digits string, letters []byte) (v uint64) {
	for i := range len(digits) {
		v = v*uint64(len(letters)) + uint64(slices.Index(letters, digits[i]))
	}
	return v
}
