package collector

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/headlessly/headlessly"
)

// errTooDeep means that a JSON text is nested too deeply.
var errTooDeep = errors.New("nested too deeply")

// syntaxError says where a text stops being JSON.
type syntaxError struct {
	what string
	at   int
}

func (e *syntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.what, e.at) }

// inspect reads a JSON text once, before a parser that is recursive and takes
// more than JSON sees it: what is in it ([shape]), and whether it is JSON that is
// nested no deeper than allowed. It needs no memory.
func inspect(b []byte) (shape, error) {
	p := inspector{b: b}
	err := p.text()
	p.ascii = p.high&highBits == 0
	return p.shape, err
}

type inspector struct {
	shape

	b       []byte
	at      int
	level   int
	objects uint64 // by level, of which there are fewer than 64: it is an object
	high    uint64 // all bytes of strings, or'ed
}

// text reads one value and what may be around it.
func (p *inspector) text() error {
	for {
		more, err := p.value() // of a container that is not empty, its beginning
		for err == nil && !more {
			if p.level == 0 {
				if p.blank(); p.at < len(p.b) {
					return p.fault("something behind the end")
				}
				return nil
			}
			more, err = p.next()
		}
		if err != nil {
			return err
		}
	}
}

// value reads a scalar, an empty container, or the beginning of another: then
// more is true, and its first value comes next.
func (p *inspector) value() (more bool, err error) {
	switch c := p.blank(); c {
	case '"':
		return false, p.str()
	case '{':
		if err := p.enter(1); err != nil {
			return false, err
		}
		if p.blank() == '}' {
			p.leave()
			return false, nil
		}
		return true, p.key()
	case '[':
		if err := p.enter(0); err != nil {
			return false, err
		}
		if p.blank() == ']' {
			p.leave()
			return false, nil
		}
		return true, nil
	case 't':
		return false, p.word("true")
	case 'f':
		return false, p.word("false")
	case 'n':
		return false, p.word("null")
	default:
		return false, p.number(c)
	}
}

// next reads what comes behind a value in a container: its end, or a comma and
// an object's next key, and then there is more.
func (p *inspector) next() (more bool, err error) {
	object := p.objects>>p.level&1 == 1
	switch c := p.blank(); {
	case c == ',':
		p.at++
		p.values++
		if object {
			return true, p.key()
		}
		return true, nil
	case c == '}' && object, c == ']' && !object:
		p.leave()
		return false, nil
	}
	return false, p.fault("neither a comma nor an end")
}

func (p *inspector) enter(object uint64) error {
	p.at++
	p.values++
	p.level++
	if p.depth = max(p.depth, p.level); p.level > headlessly.MaxJSONDepth {
		return errTooDeep
	}
	p.objects = p.objects&^(1<<p.level) | object<<p.level
	return nil
}

func (p *inspector) leave() {
	p.at++
	p.level--
}

// key reads a key and its colon.
func (p *inspector) key() error {
	if p.blank() != '"' {
		return p.fault("no key")
	}
	if err := p.str(); err != nil {
		return err
	}
	if p.blank() != ':' {
		return p.fault("no colon")
	}
	p.at++
	p.keys++
	return nil
}

// blank goes on to what is not blank and gives it, 0 at the end.
func (p *inspector) blank() byte {
	for ; p.at < len(p.b); p.at++ {
		switch c := p.b[p.at]; c {
		case ' ', '\n', '\t', '\r':
		default:
			return c
		}
	}
	return 0
}

func (p *inspector) word(w string) error {
	if len(p.b)-p.at < len(w) || string(p.b[p.at:p.at+len(w)]) != w {
		return p.fault("no value")
	}
	p.at += len(w)
	return nil
}

// number reads a number that begins with c.
func (p *inspector) number(c byte) error {
	if c == '-' {
		p.at++
		c = p.here()
	}
	switch {
	case c == '0':
		p.at++
	case !p.digits():
		return p.fault("no value")
	}
	if p.here() == '.' {
		if p.at++; !p.digits() {
			return p.fault("no digit")
		}
	}
	if c := p.here(); c == 'e' || c == 'E' {
		p.at++
		if c := p.here(); c == '+' || c == '-' {
			p.at++
		}
		if !p.digits() {
			return p.fault("no digit")
		}
	}
	return nil
}

// digits goes behind digits, of which there must be one.
func (p *inspector) digits() bool {
	from := p.at
	for p.at < len(p.b) && p.b[p.at]-'0' <= 9 {
		p.at++
	}
	return p.at > from
}

// here is the byte at hand, 0 at the end.
func (p *inspector) here() byte {
	if p.at < len(p.b) {
		return p.b[p.at]
	}
	return 0
}

func (p *inspector) fault(what string) error {
	if p.at >= len(p.b) {
		what = "unexpected end"
	}
	return &syntaxError{what, p.at}
}

// Of eight bytes at once: ones in each, and the highest bit of each.
const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// str reads a string, eight bytes at a time while none of them is a quote, a
// backslash or a control character.
func (p *inspector) str() error {
	b, i, high := p.b, p.at+1, p.high
	for {
		for len(b)-i >= 8 {
			x := binary.LittleEndian.Uint64(b[i:])
			quote, slash := x^('"'*lowBits), x^('\\'*lowBits)
			// Exact for the lowest byte that is set, which is the one that counts.
			found := (x-' '*lowBits)&^x&highBits | (quote-lowBits)&^quote&highBits | (slash-lowBits)&^slash&highBits
			if found != 0 {
				n := bits.TrailingZeros64(found) / 8
				high |= x & (1<<(8*n) - 1)
				i += n
				break
			}
			high |= x
			i += 8
		}
		if i >= len(b) {
			p.at = len(b)
			return p.fault("no end of a string")
		}
		switch c := b[i]; {
		case c == '"':
			p.at, p.high = i+1, high
			return nil
		case c == '\\':
			n := escape(b[i:])
			if n == 0 {
				p.at = i
				return p.fault("a bad escape")
			}
			i += n
		case c < ' ':
			p.at = i
			return p.fault("a control character in a string")
		default: // near the end of the text
			high |= uint64(c)
			i++
		}
	}
}

// escape gives the length of the escape that b begins with, 0 if it is none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return 0
			}
		}
		return 6
	}
	return 0
}
