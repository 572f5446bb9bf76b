package enrich

import "strings"

// siteIndex finds a host's kind by its ends and labels, in place of all names by
// turns. The values are the kinds' places in sites.
type siteIndex struct {
	ends     map[string]int // a host, and what is below it
	prefixes map[string]int // with the dot at their end
}

var siteKinds = indexSites() //nolint:gochecknoglobals // a constant

func indexSites() siteIndex {
	x := siteIndex{ends: map[string]int{}, prefixes: map[string]int{}}
	for i := range sites {
		for _, h := range sites[i].hosts {
			in := x.ends
			if strings.HasSuffix(h, ".") {
				in = x.prefixes
			}
			if _, ok := in[h]; !ok {
				in[h] = i
			}
		}
	}
	return x
}

// of gives the place of the first kind that a host is of, len(sites) for none.
func (x *siteIndex) of(host string) int {
	best := len(sites)
	for from := 0; ; {
		rest := host[from:]
		if i, ok := x.ends[rest]; ok {
			best = min(best, i)
		}
		dot := strings.IndexByte(rest, '.')
		if dot < 0 {
			return best
		}
		if i, ok := x.prefixes[rest[:dot+1]]; ok {
			best = min(best, i)
		}
		if next := strings.IndexByte(rest[dot+1:], '.'); next >= 0 { // names of two labels
			if i, ok := x.prefixes[rest[:dot+1+next+1]]; ok {
				best = min(best, i)
			}
		}
		from += dot + 1
	}
}
