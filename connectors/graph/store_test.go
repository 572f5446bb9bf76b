package graph_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
)

func TestCreateChangesNoEntityThatIsThere(t *testing.T) {
	_, g := acme(t)
	e := must(t)(g.Create(t.Context(), "Contact", fields{"name": "Ada"}))
	_, err := g.Do(t.Context(), graph.Op{Type: "Contact", Verb: graph.VerbCreate, ID: e.ID, Args: fields{"name": "Eve"}})
	wantCode(t, "create with an id", err, graph.CodeNotAllowed)
	if now := must(t)(g.Get(t.Context(), "Contact", e.ID, graph.AsOf{})); now.Version != 1 || now.Text("name") != "Ada" {
		t.Errorf("got version %d, %s", now.Version, show(now))
	}
}

func TestAnEntityFromCreateToRollback(t *testing.T) {
	_, g := acme(t)
	ctx := t.Context()

	e := must(t)(g.Create(ctx, "Contact", fields{"name": "Ada", "email": "ada@example.com", "stage": "Lead", "favourite": fields{"colour": "blue"}, "$id": "ignored"}))
	if !regexp.MustCompile(`^contact_[A-Za-z0-9]{8,12}$`).MatchString(e.ID) {
		t.Errorf("got id %q", e.ID)
	}
	if e.Version != 1 || e.CreatedBy != "apikey_test" || e.CreatedAt != e.UpdatedAt || e.CreatedAt == 0 {
		t.Errorf("got %+v", e)
	}
	if got, want := show(e), `{"email":"ada@example.com","favourite":{"colour":"blue"},"name":"Ada","stage":"Lead"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	qualified := must(t)(g.Verb(ctx, "Contact", "qualify", e.ID, fields{"leadScore": 7}))
	if qualified.Version != 2 || qualified.Text("stage") != "Qualified" || qualified.Number("leadScore") != "7" || qualified.UpdatedAt <= e.UpdatedAt {
		t.Errorf("after qualify: got %+v %s", qualified, show(qualified))
	}
	updated := must(t)(g.Update(ctx, "Contact", e.ID, fields{"favourite": nil, "phone": "123"}))
	if got, want := show(updated), `{"email":"ada@example.com","leadScore":7,"name":"Ada","phone":"123","stage":"Qualified"}`; got != want {
		t.Errorf("after update: got %s, want %s", got, want)
	}
	same := must(t)(g.Update(ctx, "Contact", e.ID, fields{"phone": "123"}))
	if same.Version != 3 {
		t.Errorf("an update without a change: got version %d, want 3", same.Version)
	}

	for _, tc := range []struct {
		name string
		asOf graph.AsOf
		want string
	}{
		{"by the first event", graph.AsOf{Seq: e.Seq}, show(e)},
		{"by its time", graph.AsOf{Time: time.UnixMicro(e.UpdatedAt)}, show(e)},
		{"between", graph.AsOf{Time: time.UnixMicro(updated.UpdatedAt - 1)}, show(qualified)},
		{"in the future", graph.AsOf{Time: time.UnixMicro(updated.UpdatedAt).Add(time.Hour)}, show(updated)},
	} {
		if got := must(t)(g.Get(ctx, "Contact", e.ID, tc.asOf)); show(got) != tc.want {
			t.Errorf("as of %s: got %s, want %s", tc.name, show(got), tc.want)
		}
	}
	_, err := g.Get(ctx, "Contact", e.ID, graph.AsOf{Time: time.UnixMicro(e.CreatedAt - 1)})
	wantCode(t, "before it was made", err, graph.CodeNotFound)

	back := must(t)(g.Rollback(ctx, "Contact", e.ID, 1))
	if back.Version != 4 || show(back) != show(e) {
		t.Errorf("after rollback: got version %d, %s", back.Version, show(back))
	}
	if err := g.Delete(ctx, "Contact", e.ID); err != nil {
		t.Fatal(err)
	}
	_, err = g.Get(ctx, "Contact", e.ID, graph.AsOf{})
	wantCode(t, "get of the deleted", err, graph.CodeNotFound)
	_, err = g.Update(ctx, "Contact", e.ID, fields{"phone": "1"})
	wantCode(t, "update of the deleted", err, graph.CodeNotFound)
	again := must(t)(g.Rollback(ctx, "Contact", e.ID, 0))
	if again.Version != 6 || show(again) != show(e) || again.CreatedAt != e.CreatedAt {
		t.Errorf("back from deletion: got %+v %s", again, show(again))
	}

	history, err := g.Events(ctx, graph.EventQuery{Entity: e.ID, Forward: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := seqs(history), "Contact.Created@1 Contact.Qualified@2 Contact.Updated@3 Contact.RolledBack@4 Contact.Deleted@5 Contact.RolledBack@6 "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := string(history[0].Data), show(e); got != want {
		t.Errorf("created: got data %s, want %s", got, want)
	}
	if got, want := string(history[1].Data), `{"leadScore":{"after":7},"stage":{"before":"Lead","after":"Qualified"}}`; got != want {
		t.Errorf("qualified: got data %s, want %s", got, want)
	}
	if got, want := string(history[2].Data), `{"favourite":{"before":{"colour":"blue"}},"phone":{"after":"123"}}`; got != want {
		t.Errorf("updated: got data %s, want %s", got, want)
	}
}

func TestAnEntityInJSONHasItsMetaFields(t *testing.T) {
	_, g := acme(t)
	e := must(t)(g.Create(t.Context(), "Deal", fields{"name": "Enterprise <&>", "value": 50000}))
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]any{
		"$id": e.ID, "$type": "Deal", "$context": "https://headless.ly/~acme", "$version": 1.0, "$createdBy": "apikey_test",
		"$createdAt": graph.FormatTime(e.CreatedAt), "$updatedAt": graph.FormatTime(e.UpdatedAt), "name": "Enterprise <&>", "value": 50000.0,
	} {
		if got[field] != want {
			t.Errorf("%s: got %v, want %v", field, got[field], want)
		}
	}
}

func TestWhatIsWrongIsRefusedWithItsField(t *testing.T) {
	_, g := acme(t)
	deep := any("x")
	for range 40 {
		deep = []any{deep}
	}
	for _, tc := range []struct {
		name, typ string
		fields    fields
		field     string
		message   string
	}{
		{"missing field", "Contact", fields{"email": "a@b.c"}, "name", "is required"},
		{"empty required field", "Contact", fields{"name": ""}, "name", "is required"},
		{"number for a text", "Contact", fields{"name": 7}, "name", "must be a string"},
		{"text for a number", "Contact", fields{"name": "A", "leadScore": "7"}, "leadScore", "must be a number"},
		{"fraction for a whole number", "Price", fields{"amount": 7.5}, "amount", "must be a whole number"},
		{"unknown value", "Contact", fields{"name": "A", "stage": "lead"}, "stage", "is not among Lead, Qualified"},
		{"no time", "Subscription", fields{"startedAt": "yesterday"}, "startedAt", "must be a time"},
		{"no id", "Customer", fields{"name": "A", "email": "a", "contact": "ada"}, "contact", "must be the id of a Contact"},
		{"id of another type", "Customer", fields{"name": "A", "email": "a", "contact": "deal_hV6nRxWm"}, "contact", "must be the id of a Contact"},
		{"no list", "Issue", fields{"title": "A", "labels": "bug"}, "labels", "must be a list"},
		{"number in a list of texts", "Issue", fields{"title": "A", "labels": []any{"a", 1}}, "labels[1]", "must be a string"},
		{"text for a truth value", "Price", fields{"amount": 1, "active": "yes"}, "active", "must be true or false"},
		{"the system's name", "Contact", fields{"name": "A", "$foo": 1}, "$foo", "are the system's"},
		{"a dot in a name", "Contact", fields{"name": "A", "a.b": 1}, `"a.b"`, "is no field name"},
		{"endless number", "Contact", fields{"name": "A", "x": json.Number("1e999")}, "x", "out of range"},
		{"too deep", "Contact", fields{"name": "A", "x": deep}, "x", "nested deeper"},
	} {
		_, err := g.Create(t.Context(), tc.typ, tc.fields)
		e, ok := err.(*graph.Error)
		if !ok || e.Code != graph.CodeValidation || e.Field != tc.field || !strings.Contains(e.Message, tc.message) {
			t.Errorf("%s: got %v, want field %s and %q", tc.name, err, tc.field, tc.message)
		}
	}
	_, err := g.Create(t.Context(), "Contact", fields{"stage": "x", "leadScore": "y"})
	if e, ok := err.(*graph.Error); !ok || len(e.Details) != 2 {
		t.Errorf("two faults: got %v", err)
	}
	_, err = g.Create(t.Context(), "Contact", fields{"name": strings.Repeat("x", graph.MaxDocBytes)})
	wantCode(t, "too large", err, graph.CodeTooLarge)
	_, err = g.Create(t.Context(), "Nothing", fields{})
	wantCode(t, "unknown type", err, graph.CodeNotFound)
	_, err = g.Verb(t.Context(), "Deal", "win", "", nil)
	wantCode(t, "verb without id", err, graph.CodeValidation)
	_, err = g.Verb(t.Context(), "Deal", "won", "deal_hV6nRxWm", nil)
	wantCode(t, "unknown verb", err, graph.CodeNotFound)
}

func TestCanonicalForms(t *testing.T) {
	_, g := acme(t)
	e := must(t)(g.Create(t.Context(), "Subscription", fields{
		"startedAt": "2025-09-15T16:32:00+02:00", "endedAt": "2026-01-31", "trialEnd": time.Date(2025, 1, 2, 3, 4, 5, 6000, time.UTC),
		"quantity": 3.0, "plan": "pro", "big": json.Number("12345678901234567890"),
	}))
	want := `{"big":12345678901234567890,"endedAt":"2026-01-31","plan":"pro","quantity":3,"startedAt":"2025-09-15T14:32:00.000000Z","trialEnd":"2025-01-02T03:04:05.000006Z"}`
	if got := show(e); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAnEventIsNamedAfterItsTypeByDefaultAndNeverChanges(t *testing.T) {
	_, g := acme(t)
	e := must(t)(g.Create(t.Context(), "Event", fields{"type": "integration_synced", "provider": "stripe", "entities": 12}))
	if e.Text("name") != "integration_synced" || e.Text("timestamp") == "" {
		t.Errorf("got %s", show(e))
	}
	_, err := g.Update(t.Context(), "Event", e.ID, fields{"name": "x"})
	wantCode(t, "update", err, graph.CodeNotAllowed)
	wantCode(t, "delete", g.Delete(t.Context(), "Event", e.ID), graph.CodeNotAllowed)
}

func TestVerbsDoWhatTheyDeclare(t *testing.T) {
	_, g := acme(t)
	ctx := t.Context()
	campaign := must(t)(g.Create(ctx, "Campaign", fields{"name": "Launch"}))
	must(t)(g.Verb(ctx, "Campaign", "add", campaign.ID, fields{"contact": "contact_fX9bL5nRd"}))
	must(t)(g.Verb(ctx, "Campaign", "add", campaign.ID, fields{"contact": "contact_fX9bL5nRd"}))
	added := must(t)(g.Verb(ctx, "Campaign", "add", campaign.ID, fields{"contact": "contact_hV6nRxWm"}))
	if got, want := show(added), `{"contacts":["contact_fX9bL5nRd","contact_hV6nRxWm"],"name":"Launch"}`; got != want {
		t.Errorf("add: got %s, want %s", got, want)
	}
	sub := must(t)(g.Create(ctx, "Subscription", fields{"plan": "pro", "status": "Active"}))
	cancelled := must(t)(g.Verb(ctx, "Subscription", "cancel", "", fields{"id": sub.ID, "cancelReason": "price"}))
	if cancelled.Text("status") != "Cancelled" || cancelled.Text("canceledAt") == "" || cancelled.Text("cancelReason") != "price" || cancelled.Text("id") != "" {
		t.Errorf("cancel: got %s", show(cancelled))
	}
	active := must(t)(g.Verb(ctx, "Subscription", "reactivate", sub.ID, nil))
	if active.Text("status") != "Active" || active.Text("canceledAt") != "" {
		t.Errorf("reactivate: got %s", show(active))
	}
	issue := must(t)(g.Create(ctx, "Issue", fields{"title": "A"}))
	assigned := must(t)(g.Verb(ctx, "Issue", "assign", issue.ID, fields{"assignee": "ada", "status": "InProgress"}))
	if assigned.Text("status") != "InProgress" {
		t.Errorf("an argument goes before the verb's effect: got %s", show(assigned))
	}
	hook := must(t)(g.Verb(ctx, "Integration", "connect", "", fields{"provider": "webhook", "url": "https://example.com/hooks", "events": []string{"Deal.*"}}))
	if hook.Version != 1 || hook.Text("status") != "Connected" {
		t.Errorf("connect: got %+v %s", hook, show(hook))
	}
	failed := must(t)(g.Emit(ctx, "Integration", "Errored", hook.ID, fields{"status": "Errored", "error": "410"}))
	if failed.Text("error") != "410" {
		t.Errorf("errored: got %s", show(failed))
	}
	reconnected := must(t)(g.Verb(ctx, "Integration", "connect", hook.ID, nil))
	if got := reconnected.Fields(); got["error"] != nil || got["status"] != "Connected" {
		t.Errorf("connect again: got %s", show(reconnected))
	}
	history, err := g.Events(ctx, graph.EventQuery{Entity: hook.ID, Forward: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := seqs(history), "Integration.Connected@1 Integration.Errored@2 Integration.Connected@3 "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSecretsAreStoredNowhere(t *testing.T) {
	n := startNATS(t)
	s := open(t, n, nil)
	g := scope(t, s, "acme")
	seen := map[string]string{}
	_, err := s.Before("Integration", "connecting", func(_ ctx, d *graph.Draft) error {
		for name, v := range d.Secrets {
			seen[name] = v.Reveal()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	e := must(t)(g.Verb(t.Context(), "Integration", "connect", "", fields{
		"provider": "analytics", "apiKey": "canary-1", "headers": fields{"Authorization": "canary-2"},
		"destinations": fields{"ga": fields{"measurementId": "G-1", "apiSecret": "canary-3"}, "sentry": fields{"dsn": "canary-4"}},
	}))
	if got, want := show(e), `{"destinations":{"ga":{"measurementId":"G-1"},"sentry":{}},"errorCount":0,"provider":"analytics","status":"Connected"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if seen["apiKey"] != "canary-1" || seen["headers"] != `{"Authorization":"canary-2"}` || seen["destinations.ga.apiSecret"] != "canary-3" || seen["destinations.sentry.dsn"] != "canary-4" {
		t.Errorf("the hook saw %v", seen)
	}
	stream, err := n.connect(t).Stream(t.Context(), "graph")
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(m.Data), "canary") {
			t.Errorf("the log holds %s", m.Data)
		}
	}
}
