package forwarders

// pace is how many calls a lane keeps in flight: one more after each call that
// went well while all were in use, half after one that did not. Not safe for
// concurrent use; the lane's lock guards it.
type pace struct{ now, max int }

func (p *pace) went(well, full bool) {
	switch {
	case !well:
		p.now = max(1, p.now/2)
	case full:
		p.now = min(p.max, p.now+1)
	}
}
