package stripe

import "net/url"

// List is one of the lists that a first sync reads.
type List struct {
	Path  string
	Query url.Values
	Read  func(raw []byte) (typ, id string, err error)
}

// Lists are those of a first sync, for tests.
func Lists() (out []List) {
	for _, p := range phases() {
		out = append(out, List{p.path, p.query, func(raw []byte) (string, string, error) {
			ch, _, err := p.read(raw)
			return ch.Type, ch.ID, err
		}})
	}
	return out
}
