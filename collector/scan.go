package collector

// shape is what a quick pass over a JSON text tells before it is parsed.
type shape struct {
	depth  int  // deepest nesting
	keys   int  // colons outside strings: at least the number of keys
	values int  // at least the number of values
	ascii  bool // no other characters are in it; told by inspect only
}

// scan measures a text that is JSON. It stops early once depth passes maxDepth.
func scan(b []byte, maxDepth int) shape {
	var s shape
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = skipString(b, i+1)
		case '{', '[':
			depth++
			s.values++
			if depth > s.depth {
				s.depth = depth
				if depth > maxDepth {
					return s
				}
			}
		case '}', ']':
			depth--
		case ',':
			s.values++
		case ':':
			s.keys++
		}
	}
	return s
}

// skipString gives the index of the quote that ends the string whose first
// byte is at i, or len(b).
func skipString(b []byte, i int) int {
	for i < len(b) {
		switch b[i] {
		case '"':
			return i
		case '\\':
			i++
		}
		i++
	}
	return len(b)
}
