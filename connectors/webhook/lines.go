package webhook

import (
	"iter"
	"strings"
)

// lines yields a receipt's headers; names are lower-case.
func lines(headers string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for line := range strings.Lines(headers) {
			name, value, _ := strings.Cut(line, ":")
			if !yield(name, strings.TrimSpace(value)) {
				return
			}
		}
	}
}
