package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

func TestAHistoryIsWholeHoweverManyAnswersItTakes(t *testing.T) {
	const total = 2500
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		after, err1 := strconv.Atoi(r.URL.Query().Get("after"))
		limit, err2 := strconv.Atoi(r.URL.Query().Get("limit"))
		if r.URL.Path != "/~acme/Deal/deal_a/events" || err1 != nil || err2 != nil {
			t.Errorf("got %s", r.URL)
		}
		out := map[string]any{"results": []any{}, "hasMore": after+limit < total}
		for seq := after + 1; seq <= min(after+limit, total); seq++ {
			out["results"] = append(out["results"].([]any), map[string]any{"seq": seq, "type": "Deal.Updated"})
		}
		if after+limit < total {
			out["next"] = map[string]int{"after": after + limit}
		}
		if err := json.NewEncoder(w).Encode(out); err != nil {
			t.Error(err)
		}
	}))
	defer gateway.Close()
	var out bytes.Buffer
	e := entity{t: target{url: gateway.URL, tenant: "acme", key: "hly_sk_x"}, name: "Deal", verb: "history", in: input{id: "deal_a"}, format: formatJSON, stdio: IO{Out: &out}}
	if err := e.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []struct{ Seq int }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got) != total || got[total-1].Seq != total {
		t.Errorf("got %d events, %v; want %d", len(got), err, total)
	}
}
