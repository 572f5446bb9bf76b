package collector

import (
	"hash/maphash"
	"math"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/headlessly/headlessly"
)

// door decides who may come in while there is a crowd. It bounds how long those
// inside have to wait ([crowd]), the requests under way, the memory of bodies
// larger than what every connection may hold anyway, and what each tenant was
// allowed: who cannot come in is told when to come again. Inside, the processors
// and the way to the log are shared fairly between tenants ([turns]).
type door struct {
	clock    headlessly.Clock
	maxSlots int64
	slots    atomic.Int64 // requests being worked on
	maxBytes int64
	bytes    atomic.Int64
	tenants  *lru.Cache[string, *tenantState]
	slabs    slabs
	parsers  sync.Pool // *parsing

	crowd   crowd
	work    *turns // requests that use a processor
	toLog   *turns // bytes on their way to the disk
	unnamed [unnamedFlows]unnamed
	seed    maphash.Seed
}

// unnamed is what requests have in common whose tenant is not known yet.
type unnamed struct {
	work   flow
	inside presence
}

const (
	// workPerCPU is how many requests may use a processor at once, for each
	// there is: a few more than one, for the steps that read the disk.
	workPerCPU = 2
	// logWindow is how many bytes of records may be on their way to the disk: a
	// few frames, so that the disk is kept busy and the queue before it is
	// where fairness decides.
	logWindow = 4 << 20
	// maxTurnWait is how long a request may wait for a processor where the
	// estimate was wrong: its client must still be there when it is answered, or
	// the work is for nobody.
	maxTurnWait = 3 * time.Second
	// requestCost is what a request costs beside its bytes, in bytes: a quarter
	// of the work of a single event of a browser.
	requestCost = 512
	// unnamedFlows share the turns of requests whose tenant is known from the
	// body only, by the client's address.
	unnamedFlows = 256
)

// maxTenantStates bounds the tenants whose use is remembered. Whoever is
// forgotten starts with a full bucket.
const maxTenantStates = 1 << 16

func newDoor(cfg *Config) *door {
	c, err := lru.New[string, *tenantState](maxTenantStates)
	if err != nil {
		panic(err) // only for a size below one
	}
	d := &door{
		clock: cfg.Clock, maxSlots: int64(cfg.MaxInFlight), maxBytes: cfg.MaxBodyMemory, tenants: c, seed: maphash.MakeSeed(), crowd: crowd{clock: cfg.Clock},
		work: newTurns(int64(workPerCPU*runtime.GOMAXPROCS(0)), true), toLog: newTurns(logWindow, false),
	}
	d.work.alone = &d.crowd.alone
	return d
}

// tenantState is what one tenant is using.
type tenantState struct {
	slots    atomic.Int64
	counters atomic.Pointer[tenantCounters]
	work     flow
	toLog    flow
	inside   presence

	mu     sync.Mutex
	tokens float64   // may fall below zero: a batch is admitted whole
	filled time.Time // when tokens was right
	day    int64     // days since 1970, UTC
	used   int64     // events of that day
}

func (d *door) state(tenant string) *tenantState {
	if s, ok := d.tenants.Get(tenant); ok {
		return s
	}
	fresh := new(tenantState)
	if s, ok, _ := d.tenants.PeekOrAdd(strings.Clone(tenant), fresh); ok {
		return s
	}
	return fresh
}

// visit is what one request holds of the door. The zero visit holds nothing.
type visit struct {
	door   *door
	tenant *tenantState
	bytes  int64
	slot   bool
	work   turn
	toLog  turn

	inside *presence // of the flow it came in with
	cost   int64
	late   bool // refused after it was let in

	small         [freeBody]byte // holds most bodies
	raw, unpacked []byte         // a body as it came, and decompressed
}

// enter takes a slot for a tenant. A tenant may hold as many slots as are free
// for others at that moment, so one that floods ends with half of them while
// the rest stay free. One request of each is never its tenant's fault.
func (v *visit) enter(d *door, tenant string) *errorReply {
	v.door = d
	if !v.slot {
		v.slot = true
		if d.slots.Add(1) > d.maxSlots {
			return overloaded(0)
		}
	}
	if v.tenant != nil || tenant == "" {
		return nil
	}
	v.tenant = d.state(tenant)
	if n := v.tenant.slots.Add(1); n > 1 && n > d.maxSlots-d.slots.Load() {
		return &errorReply{status: 429, code: "tenant_busy", message: "this tenant has too many requests under way; nothing was acknowledged, send again later", retry: time.Second}
	}
	return nil
}

// overloaded refuses a request, which may come again later.
func overloaded(retry time.Duration) *errorReply {
	return &errorReply{status: 503, code: codeOverloaded, message: "the gateway is overloaded; nothing was acknowledged, send again later", retry: retry}
}

// flows gives the place of a visit's tenant or, where it is not known yet, of
// the client.
func (v *visit) flows(d *door, client netip.Addr) (*flow, *presence) {
	if v.tenant != nil {
		return &v.tenant.work, &v.tenant.inside
	}
	u := &d.unnamed[maphash.Comparable(d.seed, client)%unnamedFlows]
	return &u.work, &u.inside
}

// ask refuses a request of n bytes that would take too long, before it is read.
func (v *visit) ask(d *door, client netip.Addr, n int) *errorReply {
	_, p := v.flows(d, client)
	if wait, full := d.crowd.ask(p, requestCost+int64(n)); full {
		return overloaded(wait)
	}
	return nil
}

// come lets in a request of n bytes that is there whole, unless it would take
// too long.
func (v *visit) come(d *door, client netip.Addr, n int) *errorReply {
	v.door = d
	if v.inside != nil {
		return nil
	}
	_, p := v.flows(d, client)
	cost := requestCost + int64(n)
	if wait, full := d.crowd.come(p, cost); full {
		return overloaded(wait)
	}
	v.inside, v.cost = p, cost
	return nil
}

// reserve takes n more bytes of body memory.
func (v *visit) reserve(d *door, n int64) bool {
	v.door = d
	v.bytes += n
	return d.bytes.Add(n) <= d.maxBytes
}

// release gives n bytes back.
func (v *visit) release(n int64) {
	if n != 0 {
		v.bytes -= n
		v.door.bytes.Add(-n)
	}
}

// forget gives back the memory of the body, which is not needed any more.
func (v *visit) forget() {
	if v.door != nil {
		v.lent(v.door, &v.raw, true)
		v.lent(v.door, &v.unpacked, true)
	}
}

// leave gives everything back.
func (v *visit) leave() {
	if v.door != nil {
		v.forget()
		v.release(v.bytes)
		v.door.work.give(&v.work)
		v.door.toLog.give(&v.toLog)
	}
	if v.inside != nil {
		v.door.crowd.leave(v.inside, v.cost, !v.late)
	}
	if v.tenant != nil {
		v.tenant.slots.Add(-1)
	}
	if v.slot {
		v.door.slots.Add(-1)
	}
	v.door, v.tenant, v.inside = nil, nil, nil
	v.bytes, v.cost, v.slot, v.late = 0, 0, false, false
	v.raw, v.unpacked = nil, nil
	v.work, v.toLog = turn{ready: v.work.ready}, turn{ready: v.toLog.ready}
}

// begin waits for a processor, for a request of n bytes. The tenant's flow is
// charged, or where it is not known yet that of the client. Nothing that waits
// for a client or for the disk may be done before pause. Who had to wait too long
// is refused.
func (v *visit) begin(d *door, client netip.Addr, n int) *errorReply {
	v.door = d
	if v.work.units > 0 {
		return nil
	}
	f, _ := v.flows(d, client)
	came := d.clock()
	d.work.take(&v.work, f, 1, requestCost+int64(n))
	if d.clock().Sub(came) <= maxTurnWait {
		return nil
	}
	v.pause()
	v.late = true
	return overloaded(0)
}

// beginAnyhow is begin for a request that cannot be refused any more.
func (v *visit) beginAnyhow(d *door, client netip.Addr, n int) { _ = v.begin(d, client, n) }

// goOn waits for a processor for the rest of what was begun: little work, for a
// request that holds memory. Who is alone has nobody to let pass.
func (v *visit) goOn() {
	if !v.door.crowd.alone.Load() {
		v.door.work.again(&v.work, &v.tenant.work)
	}
}

// grew charges what a body has become by decompression.
func (v *visit) grew(n int) {
	if n > 0 && v.work.units > 0 {
		v.door.work.charge(&v.work, int64(n))
	}
}

// pause gives the processor to others.
func (v *visit) pause() {
	if v.door != nil {
		v.door.work.give(&v.work)
	}
}

// dayOf is the day of a moment, since 1970, UTC.
func dayOf(t time.Time) int64 { return t.Unix() / 86400 }

// spend takes n events from a tenant's allowance. A batch is admitted whole
// while there is anything left, and its debt is paid before the next.
func (s *tenantState) spend(now time.Time, n int, p *Policy) *errorReply {
	if p.EventsPerSecond <= 0 && p.EventsPerDay <= 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	day := dayOf(now)
	if day != s.day {
		s.day, s.used = day, 0
	}
	if p.EventsPerDay > 0 && s.used+int64(n) > p.EventsPerDay {
		return &errorReply{
			status: 429, code: "quota_exceeded", limit: p.EventsPerDay, remaining: max(0, p.EventsPerDay-s.used),
			message: "this tenant's events for today are used up; the count starts anew at midnight UTC",
			retry:   time.Unix((day+1)*86400, 0).Sub(now),
		}
	}
	if p.EventsPerSecond > 0 {
		burst := float64(p.Burst)
		if burst <= 0 {
			burst = max(1, math.Ceil(2*p.EventsPerSecond))
		}
		if s.filled.IsZero() {
			s.tokens = burst
		} else if passed := now.Sub(s.filled).Seconds(); passed > 0 {
			s.tokens = min(burst, s.tokens+passed*p.EventsPerSecond)
		}
		s.filled = now
		if s.tokens <= 0 {
			return &errorReply{
				status: 429, code: codeRateLimited, limit: int64(p.EventsPerSecond),
				message: "this tenant sends more events a second than it may; nothing of this request was taken",
				retry:   time.Duration((1 - s.tokens) / p.EventsPerSecond * float64(time.Second)),
			}
		}
		s.tokens -= float64(n)
	}
	s.used += int64(n)
	return nil
}
