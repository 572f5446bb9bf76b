package forwarders

import "time"

// settle gives each job of a call its next place: done, another try in memory,
// or the disk.
func (l *lane) settle(batch []*job, results []Result, limits Limits, start time.Time, sent bool) {
	c := &l.r.cfg
	now := c.Clock()
	took := now.Sub(start)
	var finished []finish
	var retry []finish // or to disk, should the breaker open
	var good, throttled bool
	var after time.Duration
	var lastError string
	var again int64
	attempts := make([]Attempt, 0, len(batch))
	for i, j := range batch {
		res := results[i]
		v := judge(res.Err, limits.Idempotent)
		v.after = min(v.after, c.MaxRetryAfter)
		if sent {
			if j.attempts > 0 {
				again++
			}
			j.attempts++
			j.tries++
			attempts = append(attempts, l.attempt(j, res, v, start, took))
		}
		if res.Err != nil && v.outcome != OutcomeSkipped {
			lastError = res.Err.Error()
		}
		switch v.outcome {
		case OutcomeDelivered:
			good = true
			finished = append(finished, finish{job: j, to: delivered})
		case OutcomeSkipped:
			good = true
			finished = append(finished, finish{job: j, to: skipped, reason: res.Err.Error()})
		case OutcomeDead:
			good = true
			finished = append(finished, finish{job: j, to: dead, reason: res.Err.Error(), status: res.Status})
		case OutcomeUnknown:
			finished = append(finished, finish{job: j, to: unknown, reason: res.Err.Error()})
		default:
			throttled = throttled || v.throttled
			after = max(after, v.after)
			j.due = now.Add(max(v.after, backoff(c.RetryBase, c.Hold, j.tries-1, c.Rand)))
			f := l.toDisk(j, now, v.after, res.Err.Error())
			if j.tries >= c.Tries || j.due.Sub(j.since) > c.Hold || !sent {
				finished = append(finished, f)
			} else {
				retry = append(retry, f)
			}
		}
	}
	l.count.attempted(int64(len(attempts)), again, lastError)
	l.r.recorder.Add(attempts)
	if c.Attempts != nil && len(attempts) > 0 {
		c.Attempts(attempts)
	}

	l.mu.Lock()
	full := l.running >= l.pace.now
	l.running--
	l.used = now
	l.suspect = !good || took > slowCall
	switch {
	case !sent:
		l.brk.released()
	case throttled:
		l.brk.hold(now.Add(max(after, c.BreakBase)))
		l.pace.went(false, full)
	case good:
		l.progress = now
		l.brk.succeeded()
		l.pace.went(took < slowCall, full)
	default:
		l.brk.failed(now)
		l.pace.went(false, full)
	}
	if l.brk.open && l.brk.until.Sub(now) > shortWait {
		finished = append(finished, retry...)
	} else {
		for _, f := range retry {
			l.waiting = append(l.waiting, f.job)
		}
	}
	finished = append(finished, l.clear(now)...)
	l.held -= len(finished)
	l.kick(now)
	l.mu.Unlock()

	l.finish(finished)
	select {
	case l.room <- struct{}{}:
	default:
	}
}

// toDisk decides how a job that was not delivered is parked.
func (l *lane) toDisk(j *job, now time.Time, after time.Duration, reason string) finish {
	c := &l.r.cfg
	if l.overBudget(j, now) {
		l.dropped(j.event, DropBudget)
		return finish{job: j, to: dead, reason: "gave up after " + c.Budget.String() + ": " + reason}
	}
	wait := backoff(c.ParkedBase, c.ParkedMax, j.attempts/c.Tries, c.Rand)
	return finish{job: j, to: parked, reason: reason, notUntil: now.Add(max(wait, after))}
}

// overBudget says whether a job has been parked for too long to go on.
func (l *lane) overBudget(j *job, now time.Time) bool {
	return !j.parkedAt.IsZero() && now.Sub(j.parkedAt) > l.r.cfg.Budget
}

// clear empties the lane's memory when its breaker is open for long, or all of
// it when the router stops. The lock is held.
func (l *lane) clear(now time.Time) []finish {
	var out []finish
	if l.stopping {
		for _, j := range append(l.queue, l.waiting...) {
			out = append(out, finish{job: j, to: parked, reason: "the router stopped"})
		}
		l.queue, l.waiting = nil, nil
		return out
	}
	if !l.brk.open || l.brk.until.Sub(now) <= shortWait {
		return nil
	}
	for _, j := range append(l.queue, l.waiting...) {
		out = append(out, finish{job: j, to: parked, reason: "destination is failing", notUntil: l.brk.until})
	}
	l.queue, l.waiting = nil, nil
	return out
}

// expire takes out what has been in memory for too long.
func (l *lane) expire(now time.Time) {
	l.mu.Lock()
	var out []finish
	old := func(jobs []*job) []*job {
		var keep []*job
		for _, j := range jobs {
			if now.Sub(j.since) > l.r.cfg.Hold {
				out = append(out, finish{job: j, to: parked, reason: "destination is slower than its events"})
			} else {
				keep = append(keep, j)
			}
		}
		return keep
	}
	l.queue, l.waiting = old(l.queue), old(l.waiting)
	l.held -= len(out)
	l.mu.Unlock()
	l.finish(out)
}

// stop parks everything that is not under way.
func (l *lane) stop(now time.Time) {
	l.mu.Lock()
	l.stopping = true
	out := l.clear(now)
	l.held -= len(out)
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	l.finish(out)
}

// retire says whether the lane was idle for long enough to be forgotten, and
// closes it if so. One whose breaker is open is remembered until its parked
// items have come round, or each of them would find a new, closed breaker.
func (l *lane) retire(now time.Time, after time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = l.held == 0 && l.running == 0 && now.Sub(l.used) > after && !(l.brk.open && now.Before(l.brk.until.Add(2*l.r.cfg.ParkedMax)))
	return l.retired
}

// advancing says whether the lane delivered something lately.
func (l *lane) advancing(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.brk.open && now.Sub(l.progress) < time.Second
}

func (l *lane) finish(list []finish) {
	for _, f := range list {
		f.lane = l
		l.r.finish(f)
	}
}

func (l *lane) attempt(j *job, res Result, v verdict, at time.Time, took time.Duration) Attempt {
	a := Attempt{
		At: at, Took: took, Tenant: l.key.Tenant, Destination: l.key.Destination,
		MessageID: j.event.MessageID, Event: j.event.Event, LogSeq: j.event.LogSeq, Try: j.attempts,
		Outcome: v.outcome, Status: res.Status, Note: res.Note, Replay: j.replay,
	}
	if a.Event == "" {
		a.Event = j.event.Type
	}
	if named := l.named.Load(); named != nil {
		a.Integration = *named
	}
	if res.Err != nil {
		a.Error = res.Err.Error()
	}
	return a
}

func (l *lane) breakerState(now time.Time) (string, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	state := l.brk.state(now)
	if state == "closed" {
		return state, time.Time{}
	}
	return state, l.brk.until
}
