package graph

import "strings"

// gerund forms the name of a verb's before hook: cancel, cancelling.
func gerund(verb string) string {
	switch {
	case verb == VerbRollback:
		return "rollingBack"
	case strings.HasSuffix(verb, "ie"): // tie, tying
		return verb[:len(verb)-2] + "ying"
	case strings.HasSuffix(verb, "e") && !strings.HasSuffix(verb, "ee") && !strings.HasSuffix(verb, "ye") && !strings.HasSuffix(verb, "oe"):
		return verb[:len(verb)-1] + "ing"
	case doubles(verb):
		return verb + verb[len(verb)-1:] + "ing"
	}
	return verb + "ing"
}

// doubles says whether a verb's last consonant is written twice before -ing:
// one vowel before one consonant, in a verb of one syllable, one that ends in l
// (as British spelling has it), or one whose last syllable carries the stress.
func doubles(verb string) bool {
	if !consonantAfterVowel(verb) {
		return false
	}
	if syllables(verb) == 1 || verb[len(verb)-1] == 'l' {
		return true
	}
	for _, stressed := range []string{"set", "put", "get", "mit", "fer", "cur", "gin", "bid", "shot", "run", "ship", "plan", "stop", "tag"} {
		if strings.HasSuffix(verb, stressed) {
			return true
		}
	}
	return false
}

// consonantAfterVowel says whether a verb ends in a single vowel and a single
// consonant that can be doubled.
func consonantAfterVowel(verb string) bool {
	n := len(verb)
	if n < 3 || vowel(verb[n-1]) || strings.IndexByte("wxy", verb[n-1]) >= 0 {
		return false
	}
	return vowel(verb[n-2]) && (!vowel(verb[n-3]) || strings.HasSuffix(verb[:n-1], "qui"))
}

func vowel(c byte) bool { return strings.IndexByte("aeiouAEIOU", c) >= 0 }

// syllables counts groups of vowels.
func syllables(word string) (n int) {
	for i := range len(word) {
		if vowel(word[i]) && (i == 0 || !vowel(word[i-1])) {
			n++
		}
	}
	return n
}

// spellings gives every accepted form of a verb's gerund and past: the
// canonical one first, then those with the last consonant written once and
// twice, since both are in use (cancelled, canceled).
func (v *Verb) spellings() (gerunds, pasts []string) {
	gerunds, pasts = []string{v.Gerund}, []string{v.Past}
	if !consonantAfterVowel(v.Name) {
		return gerunds, pasts
	}
	once, twice := v.Name, v.Name+v.Name[len(v.Name)-1:]
	gerunds = append(gerunds, once+"ing", twice+"ing")
	if p := v.Past; p == once+"ed" || p == twice+"ed" {
		pasts = append(pasts, once+"ed", twice+"ed")
	}
	return gerunds, pasts
}

// lowerFirst turns an event's name into a hook's: RolledBack, rolledBack.
func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
