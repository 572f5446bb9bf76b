package graph_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/connectors/graph"
)

// contract is the table of the product's entities: domain, fields with their
// marks, verbs with their events.
const contract = `
Integration platform | name slug## description provider! providerUrl providerLogo category authType status config events[] url destinations lastSyncAt lastSyncCount lastSyncDuration error errorCount webhookSupport apiBaseUrl | connect Connected, disconnect Disconnected, sync Synced
Customer billing | name! email!# organization stripeCustomerId## paymentMethod currency contact->Contact taxExempt |
Product billing | name! slug## description tagline type image features status visibility stripeProductId## |
Plan billing | name! slug## product->Product trialDays features limits status |
Price billing | amount! currency interval intervalCount active product->Product plan->Plan stripePriceId## |
Subscription billing | status customer->Customer contact->Contact plan price->Price quantity items currentPeriodStart currentPeriodEnd cancelAtPeriodEnd trialStart trialEnd startedAt canceledAt pausedAt resumesAt endedAt cancelReason cancelFeedback collectionMethod stripeSubscriptionId## stripeCustomerId | pause Paused, cancel Cancelled, reactivate Reactivated, upgrade Upgraded, downgrade Downgraded, activate Activated, renew Renewed
Invoice billing | number## customer subscription subtotal tax discount total amountPaid amountDue currency status periodStart periodEnd issuedAt dueAt paidAt voidedAt lineItems receiptUrl pdfUrl hostedUrl stripeInvoiceId## | pay Paid, void Voided, finalize Finalized
Payment billing | amount! currency status method customer invoice stripePaymentId## | refund Refunded, capture Captured
Project projects | name! slug## description status visibility owner startDate targetDate tags githubRepo## githubId## | archive Archived, complete Completed, activate Activated
Issue projects | title! description status priority type project->Project assignee reporter labels[] milestone dueDate githubId## githubNumber url | assign Assigned, complete Completed, close Closed, reopen Reopened
Comment projects | body! author issue->Issue githubId## url | resolve Resolved
Contact crm | name! email## phone organization stage status source leadScore | qualify Qualified, capture Captured, assign Assigned, merge Merged, enrich Enriched
Campaign marketing | name! type status segment contacts[] | add Added, launch Launched, pause Paused
Deal crm | name! value contact stage | close Closed, win Won, lose Lost
Ticket support | subject! status priority contact | escalate Escalated, resolve Resolved
Agent platform | name! status | notify Notified
Handler platform | name!## description hook! phase source! status missing deadlineMs | enable Enabled, disable Disabled
Event analytics | name! type! data source sessionId userId anonymousId timestamp url path referrer properties |
Metric analytics | name! value! type unit dimensions timestamp | record Recorded, reset Reset, snapshot Snapshotted
ApiKey identity | name! kind prefix scopes[] lastUsedAt revokedAt | revoke Revoked, rotate Rotated
Alert platform | name! metric! threshold! direction status value since description |
`

func TestTheBuiltinTypesAreThoseOfTheContract(t *testing.T) {
	types := graph.BuiltinTypes()
	rows := strings.Split(strings.TrimSpace(contract), "\n")
	if got := len(types.All()); got != len(rows) {
		t.Errorf("got %d types, want %d", got, len(rows))
	}
	for _, row := range rows {
		parts := strings.Split(row, "|")
		name, domain, _ := strings.Cut(strings.TrimSpace(parts[0]), " ")
		typ, err := types.Lookup(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if typ.Domain != domain {
			t.Errorf("%s: got domain %s, want %s", name, typ.Domain, domain)
		}
		for _, want := range strings.Fields(parts[1]) {
			checkField(t, typ, want)
		}
		for verb := range strings.SplitSeq(parts[2], ",") {
			if verb, event, ok := strings.Cut(strings.TrimSpace(verb), " "); ok {
				if v := typ.Verb(verb); v == nil || v.Event != event {
					t.Errorf("%s.%s: got %+v, want event %s", name, verb, v, event)
				}
			}
		}
	}
}

func checkField(t *testing.T, typ *graph.Type, want string) {
	t.Helper()
	want, ref, _ := strings.Cut(want, "->")
	name := strings.TrimRight(want, "!#[]")
	f := typ.Field(name)
	if f == nil {
		t.Errorf("%s.%s is missing", typ.Name, name)
		return
	}
	for mark, got := range map[string]bool{"!": f.Required, "##": f.Unique, "[]": f.List} {
		if got != strings.Contains(want, mark) {
			t.Errorf("%s.%s: got %s %v", typ.Name, name, mark, got)
		}
	}
	if strings.HasSuffix(want, "#") && !f.Indexed {
		t.Errorf("%s.%s is not indexed", typ.Name, name)
	}
	if f.Ref != ref {
		t.Errorf("%s.%s: got reference to %q, want %q", typ.Name, name, f.Ref, ref)
	}
}

func TestEnumerationsKeepTheirOrder(t *testing.T) {
	integration, err := graph.BuiltinTypes().Lookup("Integration")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Available", "Connected", "Active", "Syncing", "Synced", "Errored", "Disconnected", "ComingSoon", "Deprecated"}
	if got := integration.Field("status").Enum; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestHooksAreNamedByConjugation(t *testing.T) {
	types := graph.BuiltinTypes()
	for _, tc := range []struct{ typ, hook, phase, name string }{
		{"Integration", "connecting", "before", "connect"},
		{"Integration", "connected", "after", "Connected"},
		{"Integration", "disconnected", "after", "Disconnected"},
		{"Integration", "syncing", "before", "sync"},
		{"Integration", "synced", "after", "Synced"},
		{"Integration", "errored", "after", "Errored"},
		{"Integration", "creating", "before", "create"},
		{"Integration", "updating", "before", "update"},
		{"Integration", "deleting", "before", "delete"},
		{"Integration", "deleted", "after", "Deleted"},
		{"Integration", "rollingBack", "before", "rollback"},
		{"Integration", "rolledBack", "after", "RolledBack"},
		{"Subscription", "cancelling", "before", "cancel"},
		{"Subscription", "canceling", "before", "cancel"},
		{"Subscription", "cancelled", "after", "Cancelled"},
		{"Subscription", "canceled", "after", "Cancelled"},
		{"Subscription", "pausing", "before", "pause"},
		{"Subscription", "renewed", "after", "Renewed"},
		{"Invoice", "paying", "before", "pay"},
		{"Invoice", "paid", "after", "Paid"},
		{"Invoice", "voiding", "before", "void"},
		{"Issue", "completed", "after", "Completed"},
		{"Issue", "reopening", "before", "reopen"},
		{"Contact", "qualifying", "before", "qualify"},
		{"Contact", "enriching", "before", "enrich"},
		{"Campaign", "adding", "before", "add"},
		{"Deal", "winning", "before", "win"},
		{"Deal", "won", "after", "Won"},
		{"Deal", "losing", "before", "lose"},
		{"Agent", "notifying", "before", "notify"},
		{"Metric", "resetting", "before", "reset"},
		{"Metric", "reseting", "before", "reset"},
		{"Metric", "snapshotting", "before", "snapshot"},
		{"Metric", "snapshotted", "after", "Snapshotted"},
	} {
		typ, err := types.Lookup(tc.typ)
		if err != nil {
			t.Fatal(err)
		}
		phase, name, err := typ.HookName(tc.hook)
		if err != nil || string(phase) != tc.phase || name != tc.name {
			t.Errorf("%s.%s: got %s %s, %v; want %s %s", tc.typ, tc.hook, phase, name, err, tc.phase, tc.name)
		}
	}
}

func TestAnUnknownNameIsAnsweredWithTheNearest(t *testing.T) {
	types := graph.BuiltinTypes()
	_, err := types.Lookup("Integraton")
	if err == nil || !strings.Contains(err.Error(), `"Integration"`) {
		t.Errorf("type: got %v", err)
	}
	sub, err := types.Lookup("Subscription")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sub.FindVerb("cancle"); err == nil || !strings.Contains(err.Error(), `"cancel"`) {
		t.Errorf("verb: got %v", err)
	}
	if _, _, err := sub.HookName("canceld"); err == nil || !strings.Contains(err.Error(), `"cancelled"`) {
		t.Errorf("hook: got %v", err)
	}
}

const invoiceLine = `
Shipment:
  domain: shop
  fields:
    number: string!##
    customer: -> Customer
    state: Packed | Sent | Lost# = Packed
    weight: number
    sentAt: time
    tags: string[]
  verbs:
    send: Sent; state = Sent; sentAt = now
    label: Labelled; tags += tag
`

func TestATypeOfAUsersFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "types.yaml")
	if err := os.WriteFile(path, []byte(invoiceLine), 0o600); err != nil {
		t.Fatal(err)
	}
	types, err := graph.BuiltinTypes().WithFile(path)
	if err != nil {
		t.Fatal(err)
	}
	shipment, err := types.Lookup("Shipment")
	if err != nil {
		t.Fatal(err)
	}
	if phase, verb, err := shipment.HookName("labeling"); phase != graph.Before || verb != "label" || err != nil {
		t.Errorf("labeling: got %s %s, %v", phase, verb, err)
	}
	if got := types.OfID("shipment_hV6nRxWm"); got != shipment {
		t.Errorf("id: got %v", got)
	}
	if _, err := types.Lookup("Contact"); err != nil {
		t.Errorf("built-in types are gone: %v", err)
	}
	var help bytes.Buffer
	if err := shipment.Help(&help); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Shipment (shop)", "string!##", "-> Customer", "Packed | Sent | Lost#", "Shipment.Labelled", "before: labelling"} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("help lacks %q:\n%s", want, help.String())
		}
	}
}

func TestFaultsOfADeclarationAreNamedWithTheirLine(t *testing.T) {
	for name, tc := range map[string]struct{ field, verb, want string }{
		"misspelt kind":            {"x: strng", "", `"strng" is no kind`},
		"unknown reference":        {"x: -> Nobody", "", `there is no type "Nobody"`},
		"back reference to no ref": {"x: <- Contact.name[]", "", "does not refer to"},
		"unique list":              {"x: string[]##", "", "can be unique"},
		"indexed json":             {"x: json#", "", "cannot be indexed"},
		"upper-case field":         {"X: string", "", "lower-case"},
		"default out of range":     {"x: A | B = C", "", "not among A, B"},
		"default from nowhere":     {"x: string = .y", "", `names "y"`},
		"built-in verb":            {"x: string", "create: Made", "is built in"},
		"effect on no field":       {"x: string", "do: Done; y = 1", `no field "y"`},
		"effect out of range":      {"x: A | B", "do: Done; x = C", "not among A, B"},
		"append to no list":        {"x: string", "do: Done; x += y", "adds an argument to a list"},
		"misspelt event":           {"x: string", "do: done", "no event name"},
		"dotted field":             {"x.y: string", "", "only a secret"},
	} {
		raw := "Thing:\n  domain: shop\n  fields:\n    " + tc.field + "\n"
		if tc.verb != "" {
			raw += "  verbs:\n    " + tc.verb + "\n"
		}
		_, err := graph.BuiltinTypes().With("mine.yaml", []byte(raw))
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "mine.yaml") {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	_, err := graph.BuiltinTypes().With("mine.yaml", []byte("Contact:\n  domain: x\n  feilds:\n    a: string\n  fields:\n    b: wat\n"))
	for _, want := range []string{`mine.yaml:3: Contact: unknown key "feilds"`, "mine.yaml:6: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := graph.BuiltinTypes().With("mine.yaml", []byte("Contact:\n  domain: x\n  fields:\n    a: string\n")); err == nil || !strings.Contains(err.Error(), "is taken") {
		t.Errorf("second Contact: got %v", err)
	}
}

func TestAnIDTellsItsType(t *testing.T) {
	types := graph.BuiltinTypes()
	for id, want := range map[string]string{
		"integration_hV6nRxWm":   "Integration",
		"contact_fX9bL5nRd":      "Contact",
		"apikey_k7TmPvQxk7Tm":    "ApiKey",
		"contact_short":          "",
		"contact_toolongtoolong": "",
		"contact_fX9bL5n-d":      "",
		"nobody_fX9bL5nRd":       "",
		"Contact_fX9bL5nRd":      "",
		"contact":                "",
	} {
		got := ""
		if typ := types.OfID(id); typ != nil {
			got = typ.Name
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", id, got, want)
		}
	}
}
