package lakehouse_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// projected makes one record of each kind that is no event.
func projected(tenant string, n int) []headlessly.Record {
	at := int64(laketest.Noon + n)
	return []headlessly.Record{
		laketest.Encode(headlessly.RecordDelivery, &headlessly.Delivery{
			ID: uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s/%d", tenant, n)).String(), Tenant: tenant, Destination: "posthog",
			MessageID: laketest.Event(tenant, n).MessageID, Event: "page", EventSeq: 7, Attempt: 1, At: at, Took: 1200, Outcome: "delivered", Status: 200,
		}),
		laketest.Encode(headlessly.RecordEntityEvent, &headlessly.EntityEvent{
			ID: fmt.Sprintf("evt_%d", n), Tenant: tenant, Event: "Deal.Closed", Type: "Deal", Entity: "deal_x", Actor: "key_1", Time: at, Version: int64(n), Seq: int64(n),
			Data: `{"stage":{"before":"Open","after":"Won"}}`,
		}),
		laketest.Encode(headlessly.RecordReceipt, &headlessly.Receipt{Tenant: tenant, Provider: "stripe", Integration: "integration_x", ReceivedAt: at, Headers: "a: b\n", Body: []byte(`{"id":1}`)}),
		laketest.Encode(headlessly.RecordMetricSnapshot, &headlessly.MetricSnapshot{Tenant: tenant, Name: "mrr", Kind: "Gauge", Time: at, Amount: 9900, Currency: "EUR"}),
		laketest.Encode(headlessly.RecordMetricSnapshot, &headlessly.MetricSnapshot{Tenant: tenant, Name: "churn_rate", Kind: "Gauge", Time: at, Value: 0.25}),
	}
}

func TestEveryKindOfRecordHasItsTable(t *testing.T) {
	lake, log := openLake(t, t.TempDir()), laketest.NewLog()
	w, _ := startWriter(t, lake, log)
	for n := range 3 {
		log.Append(append(laketest.Records("acme", n, n+1), projected("acme", n)...)...)
	}
	log.Append(projected("acme", 1)[0])                                     // the same attempt, noted twice
	log.Append(headlessly.Record{Kind: 200, Data: []byte("of the future")}) // skipped
	flush(t, w)
	for name, want := range map[string]int64{
		lakehouse.TableEvents: 3, lakehouse.TableDeliveries: 3, lakehouse.TableEntityEvents: 3, lakehouse.TableWebhookReceipts: 3, lakehouse.TableMetricSnapshots: 6, lakehouse.TableRejected: 0,
	} {
		if got := scan(t, lake, name).NumRows(); got != want {
			t.Errorf("%s: got %d rows, want %d", name, got, want)
		}
	}
	metrics := scan(t, lake, lakehouse.TableMetricSnapshots)
	amounts, values := column(t, metrics, "amount"), column(t, metrics, "value")
	for i := range amounts.Len() {
		if amounts.IsNull(i) == values.IsNull(i) {
			t.Errorf("row %d has amount %s and value %s: exactly one holds", i, amounts.ValueStr(i), values.ValueStr(i))
		}
	}
	report, err := lake.Verify(t.Context(), nil)
	if err != nil || len(report.Faults) > 0 || report.Rows != 18 {
		t.Errorf("verify: got %+v, %v", report, err)
	}
	if s := w.Stats(); s.Duplicates != 1 || s.Others != 15 {
		t.Errorf("got %d duplicates and %d rows of other tables, want 1 and 15", s.Duplicates, s.Others)
	}
}

// TestTwoLogsFillOneLake runs a writer for each of two logs, whose frame
// numbers mean nothing to each other, stops both and starts them again.
func TestTwoLogsFillOneLake(t *testing.T) {
	dir := t.TempDir()
	events, graph := laketest.NewLog(), laketest.NewLog()
	for round := range 3 {
		lake := openLake(t, dir)
		w1, stop1 := startWriter(t, lake, events)
		w2, stop2 := startWriter(t, lake, graph, lakehouse.WithSource("graph"))
		for n := range 5 {
			events.Append(laketest.Records("acme", round*10+n, round*10+n+1)...)
		}
		for n := range 2 {
			graph.Append(projected("acme", round*2+n)[1])
		}
		flush(t, w1)
		flush(t, w2)
		stop1()
		stop2()
		if round == 1 { // a cursor that is lost is found again in the tables
			graph.Forget()
		}
		for name, want := range map[string]int64{lakehouse.TableEvents: int64(round+1) * 5, lakehouse.TableEntityEvents: int64(round+1) * 2} {
			if got := scan(t, lake, name).NumRows(); got != want {
				t.Errorf("round %d: %s has %d rows, want %d", round, name, got, want)
			}
		}
	}
}

func TestALakeOfAnOlderVersionOpensForReading(t *testing.T) {
	dir := t.TempDir()
	lake := openLake(t, dir)
	if err := lake.Drop(t.Context(), lakehouse.TableDeliveries); err != nil {
		t.Fatal(err)
	}
	old := openLake(t, dir, func(c *lakehouse.Config) { c.ReadOnly = true })
	if _, err := old.Status(t.Context()); err != nil {
		t.Errorf("reading: %v", err)
	}
	writing := openLake(t, dir)
	if _, err := writing.Table(t.Context(), lakehouse.TableDeliveries); err != nil {
		t.Errorf("opening it to write makes what is missing: %v", err)
	}
}
