package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

func resultOf(t testing.TB, text string) result {
	t.Helper()
	var r result
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestABarChartIsAsLongAsItsNumbersSay(t *testing.T) {
	r := resultOf(t, `{"columns":[{"name":"event","type":"VARCHAR"},{"name":"n","type":"BIGINT"}],"rows":[{"event":"page","n":40},{"event":"order","n":20},{"event":"none","n":null},{"event":"odd","n":"10"}]}`)
	var b strings.Builder
	if err := drawChart(&b, chartBar, r); err != nil {
		t.Fatal(err)
	}
	bars := map[string]int{}
	for line := range strings.Lines(b.String()) {
		bars[strings.Fields(line)[0]] = strings.Count(line, "█")
	}
	if bars["page"] < 40 || bars["order"] != bars["page"]/2 || bars["odd"] != bars["page"]/4 || bars["none"] != 0 {
		t.Errorf("got %v in\n%s", bars, b.String())
	}
}

func TestALineChartNamesWhatItShows(t *testing.T) {
	r := resultOf(t, `{"columns":[{"name":"n","type":"UBIGINT"},{"name":"day","type":"DATE"}],"rows":[{"day":"2026-01-01","n":1},{"day":"2026-01-02","n":5},{"day":"2026-01-03","n":2}]}`)
	var b strings.Builder
	if err := drawChart(&b, chartLine, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"n, 2026-01-01 … 2026-01-03", "5.00", "1.00"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestAChartWithoutNumbersSaysWhatItNeeds(t *testing.T) {
	r := resultOf(t, `{"columns":[{"name":"id","type":"UUID"}],"rows":[{"id":"x"}]}`)
	if err := drawChart(&strings.Builder{}, chartBar, r); err == nil || !strings.Contains(err.Error(), "count(*)") {
		t.Errorf("got %v", err)
	}
}

func TestThePromptKeepsAQueryUntilItsSemicolon(t *testing.T) {
	var out, errs strings.Builder
	p := sqlPrompt{t: &target{url: "http://127.0.0.1:1", tenant: "acme", key: "hly_sk_x"}, stdio: IO{Out: &out, Err: &errs}, names: []string{"event", "events", "select"}}
	if whole, end := p.take(t.Context(), "select 1"); whole != "" || end {
		t.Errorf("the first line: got %q, %t", whole, end)
	}
	if whole, end := p.take(t.Context(), "  , 2;"); whole != "select 1   , 2;" || end {
		t.Errorf("the second line: got %q, %t", whole, end)
	}
	if !strings.Contains(errs.String(), "not running") {
		t.Errorf("the query was not asked: %q", errs.String())
	}
	for line, want := range map[string]string{`\chart pie`: `\chart bar`, `\format xml`: "known are table", `\asof never`: "asOf must be a time"} {
		errs.Reset()
		if _, end := p.take(t.Context(), line); end || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: got %q", line, errs.String())
		}
	}
	if _, end := p.take(t.Context(), `\chart line`); end || p.chart != chartLine {
		t.Errorf(`\chart line: got %q`, p.chart)
	}
	if _, end := p.take(t.Context(), `\q`); !end {
		t.Error(`\q does not end the session`)
	}
	head, found, tail := p.complete("select * from ev where 1", len("select * from ev"))
	if head != "select * from " || strings.Join(found, " ") != "event events" || tail != " where 1" {
		t.Errorf("completion: got %q %q %q", head, found, tail)
	}
}
