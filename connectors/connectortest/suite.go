package connectortest

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

// Subject is a connector under test with a stand-in of its provider behind it.
// What the connector does not do is left nil; the cases that this leaves out are
// named in Without.
type Subject struct {
	// Registry holds the connector. One that works on parts of its own over the
	// graph has Build instead, which is called at each opening of the bench;
	// stop ends what it started.
	Registry connectors.Registry
	Build    func(t testing.TB, b *Bench) (r connectors.Registry, stop func())
	Provider string
	// PublicURL is where the provider reaches the product, for one that posts
	// by itself.
	PublicURL string
	// Args connect it; Rotated with a credential that was issued anew, Wrong
	// with one that the provider refuses.
	Args, Rotated, Wrong map[string]any
	// Secrets are the values that must show nowhere.
	Secrets []string
	// Without says why a case does not apply. A case that is left out without
	// a reason fails, and so does a reason for one that applies.
	Without map[Case]string

	// Seed fills the account with at least n objects and gives how many
	// entities of the type there are then.
	Seed func(n int) (typ string, count int64)
	// Down makes the provider unreachable, or reachable again.
	Down func(bool)
	// Limit makes the provider answer "too many requests" now and then.
	Limit func(bool)
	// Cut makes the next answers to a sync end in the middle, and counts those
	// that are left to be cut.
	Cut func(answers int) (left func() int)
	// Revoke makes the credential of Args invalid.
	Revoke func()
	// Odd puts an object of a form that nobody knows among the others.
	Odd func()
	// Hooks counts the webhooks that are registered at the provider.
	Hooks func() int
	// Change changes one object at the provider, and Shows says whether the
	// tenant's graph shows it.
	Change func()
	Shows  func(g *graph.Scope) bool
	// Receipts takes what the provider has sent, for this integration.
	Receipts func(id string) []headlessly.Receipt
	// Create makes an entity that is carried to the provider, and Made counts
	// what was made there.
	Create func(ctx context.Context, g *graph.Scope) error
	Made   func() int
	// Emit makes one event that the integration sends to the provider, each
	// one different from those before. Sent counts the events that arrived
	// there, and those that arrived again.
	Emit func(ctx context.Context, g *graph.Scope) error
	Sent func() (events, again int)
	// InUse says whether the rest of the product works with the integration,
	// where that shows nowhere else.
	InUse func() bool
}

// Case names a case of the contract.
type Case string

// The cases of the contract.
const (
	Connects     Case = "a credential that works connects"
	Refused      Case = "a refused credential leaves nothing"
	Resumes      Case = "the first sync brings everything, killed on the way"
	Limited      Case = "a sync through rate limits"
	CutShort     Case = "an answer that is cut short costs no object"
	Outage       Case = "an outage makes it Errored, and it recovers"
	Revoked      Case = "a credential revoked later makes it Errored"
	Rotates      Case = "a rotation keeps everything else"
	OddObject    Case = "an odd object costs no other"
	Inbound      Case = "what comes in is verified, mapped, and once only"
	Lost         Case = "what was lost comes with the next sync"
	Outbound     Case = "what goes out is made once, and its echo changes nothing"
	OutboundDown Case = "a provider that is down refuses a mutation whole"
	Sends        Case = "an event is sent once, and also when the process ends right behind it"
	SendsLater   Case = "an event that the provider could not take is sent when it can"
	SendsSlowly  Case = "events wait for a rate limit, and none is lost"
	Restarts     Case = "a restart goes on with it"
	Disconnects  Case = "disconnect takes everything away"
)

// cases are the contract: which parts of a subject a case needs, and the case.
func cases() []contractCase {
	always := func(*suite) bool { return true }
	syncs := (*suite).syncs
	return []contractCase{
		{Connects, always, (*suite).connects},
		{Refused, func(s *suite) bool { return s.Wrong != nil }, (*suite).refused},
		{Resumes, func(s *suite) bool { return s.Seed != nil && syncs(s) }, (*suite).resumes},
		{Limited, func(s *suite) bool { return s.Seed != nil && s.Limit != nil && syncs(s) }, (*suite).limited},
		{CutShort, func(s *suite) bool { return s.Seed != nil && s.Cut != nil && syncs(s) }, (*suite).cutShort},
		{Outage, func(s *suite) bool { return s.Down != nil && (syncs(s) || s.Emit != nil) }, (*suite).outage},
		{Revoked, func(s *suite) bool { return s.Revoke != nil && (syncs(s) || s.Emit != nil) }, (*suite).revoked},
		{Rotates, func(s *suite) bool { return s.Rotated != nil }, (*suite).rotates},
		{OddObject, func(s *suite) bool { return s.Odd != nil && s.Seed != nil }, (*suite).odd},
		{Inbound, func(s *suite) bool { return s.Change != nil && s.Receipts != nil }, (*suite).inbound},
		{Lost, func(s *suite) bool { return s.Change != nil && s.Receipts != nil && syncs(s) }, (*suite).lost},
		{Outbound, func(s *suite) bool { return s.Create != nil }, (*suite).outbound},
		{OutboundDown, func(s *suite) bool { return s.Create != nil && s.Down != nil }, (*suite).outboundDown},
		{Sends, func(s *suite) bool { return s.Emit != nil }, (*suite).sends},
		{SendsLater, func(s *suite) bool { return s.Emit != nil && s.Down != nil }, (*suite).sendsLater},
		{SendsSlowly, func(s *suite) bool { return s.Emit != nil && s.Limit != nil }, (*suite).sendsSlowly},
		{Restarts, always, (*suite).restarts},
		{Disconnects, always, (*suite).disconnects},
	}
}

type contractCase struct {
	name    Case
	applies func(*suite) bool
	run     func(s *suite, t *testing.T)
}

// Run runs every case of the contract against fresh subjects.
func Run(t *testing.T, open func(t testing.TB, clock *Clock) *Subject) {
	t.Helper()
	for _, c := range cases() {
		t.Run(string(c.name), func(t *testing.T) {
			logs := new(strings.Builder)
			s := &suite{logs: logs}
			clock := NewClock()
			s.Subject = open(t, clock)
			if fault, skip := judge(c.applies(s), s.Without, c.name); fault != "" {
				t.Fatal(fault)
			} else if skip {
				t.Skip("does not apply: " + s.Without[c.name])
			}
			s.Bench = Start(t, Options{Registry: s.Registry, Build: s.Build, PublicURL: s.PublicURL, Logs: Locked(logs), Clock: clock})
			c.run(s, t)
			s.Bench.Close(t)
			for _, secret := range s.Secrets {
				if strings.Contains(logs.String(), secret) {
					t.Errorf("a credential shows in the log")
				}
			}
		})
	}
}

// judge says whether a case is left out, or what is at fault with that.
func judge(applies bool, without map[Case]string, name Case) (fault string, skip bool) {
	why, declared := without[name]
	switch {
	case applies && declared:
		return "it is declared not to apply (" + why + "), but it does", false
	case !applies && why == "":
		return "it is left out, and nothing says why: declare it in Without", false
	}
	return "", !applies
}

// covered names what a connector implements and its subject leaves out.
func (s *Subject) covered(c connectors.Connector) (missing []string) {
	_, syncs := c.(connectors.Syncer)
	_, receives := c.(connectors.Receiver)
	_, pushes := c.(connectors.Pusher)
	_, attaches := c.(connectors.Attacher)
	for what, bad := range map[string]bool{
		"Sync without Seed": syncs && s.Seed == nil, "Receive without Change, Shows and Receipts": receives && (s.Change == nil || s.Shows == nil || s.Receipts == nil),
		"Push without Create and Made": pushes && (s.Create == nil || s.Made == nil), "Attach without Emit or InUse": attaches && s.Emit == nil && s.InUse == nil,
		"Emit without Sent": s.Emit != nil && s.Sent == nil,
	} {
		if bad {
			missing = append(missing, what)
		}
	}
	return missing
}

type suite struct {
	*Subject
	*Bench
	logs *strings.Builder
	id   string
}

func (s *suite) connect(t *testing.T, args map[string]any) *graph.Entity {
	t.Helper()
	e, err := s.Scope.Verb(t.Context(), "Integration", "connect", "", maps.Clone(args))
	if err != nil {
		t.Fatal(err)
	}
	s.id = e.ID
	return e
}

// synced connects and waits for the first sync.
func (s *suite) synced(t *testing.T) {
	t.Helper()
	s.connect(t, s.Args)
	if s.syncs() {
		s.WaitStatus(t, s.id, "Synced")
	}
}

// syncs says whether the connector does; the first case checks it.
func (s *suite) syncs() bool { return s.Seed != nil }

func (s *suite) count(t *testing.T, typ string) int64 {
	t.Helper()
	n, err := s.Scope.Count(t.Context(), typ, nil, graph.AsOf{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (s *suite) history(t *testing.T) string {
	t.Helper()
	events, err := s.Scope.Events(t.Context(), graph.EventQuery{Entity: s.id, Limit: 200, Forward: true})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range events {
		names = append(names, strings.TrimPrefix(e.Name, "Integration."))
	}
	return strings.Join(names, " ")
}
