package sqid

import (
	_ "embed" // for the word list
	"strings"
)

//go:embed blocklist.txt
var blocklist string

// defaultWords is the project's word list.
func defaultWords() []string { return strings.Fields(blocklist) }

// words are the blocked words, sorted by how they are looked for.
type words struct {
	whole  map[string]bool     // three letters: only a whole id counts
	edges  []string            // with a digit: only at the start or the end
	within map[string][]string // anywhere, by their first letters
}

// pick keeps the words that an id of this alphabet can hold at all.
func pick(list []string, alphabet string) words {
	w := words{whole: map[string]bool{}, within: map[string][]string{}}
	alphabet = strings.ToLower(alphabet)
	for _, word := range list {
		word = strings.ToLower(word)
		foreign := strings.IndexFunc(word, func(r rune) bool { return !strings.ContainsRune(alphabet, r) }) >= 0
		switch {
		case len(word) < 3 || foreign:
		case len(word) == 3:
			w.whole[word] = true
		case strings.ContainsAny(word, "0123456789"):
			w.edges = append(w.edges, word)
		default:
			w.within[word[:3]] = append(w.within[word[:3]], word)
		}
	}
	return w
}

// in says whether id holds a blocked word.
func (w words) in(id string) bool {
	id = strings.ToLower(id)
	if w.whole[id] {
		return true
	}
	if len(id) <= 3 {
		return false
	}
	for _, word := range w.edges {
		if strings.HasPrefix(id, word) || strings.HasSuffix(id, word) {
			return true
		}
	}
	for i := range len(id) - 3 {
		for _, word := range w.within[id[i:i+3]] {
			if strings.HasPrefix(id[i:], word) {
				return true
			}
		}
	}
	return false
}
