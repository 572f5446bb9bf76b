package lakehouse_test

import (
	"testing"
	"time"

	"github.com/headlessly/headlessly/lakehouse"
)

func TestTheTimeThatAQueryReadsIsGuessedFromItsText(t *testing.T) {
	now := time.Date(2025, 10, 9, 12, 0, 0, 0, time.UTC)
	const none, begin, end = "none", "-", "+"
	for name, c := range map[string]struct {
		sql      string
		args     []any
		from, to string // RFC 3339, of the column timestamp
	}{
		"no comparison":               {"SELECT count(*) FROM events", nil, none, none},
		"since":                       {"SELECT * FROM events WHERE timestamp >= '2025-01-02'", nil, "2025-01-02T00:00:00Z", end},
		"since, in capitals":          {`SELECT * FROM events WHERE "TIMESTAMP">TIMESTAMPTZ '2025-01-02 03:04:05+00'`, nil, "2025-01-02T03:04:05Z", end},
		"a zone":                      {"WHERE timestamp > '2025-01-02T03:04:05+02:00'", nil, "2025-01-02T01:04:05Z", end},
		"from and to":                 {"WHERE e.timestamp >= '2025-01-02' AND e.timestamp < '2025-01-03 10:00'", nil, "2025-01-02T00:00:00Z", "2025-01-03T10:00:00Z"},
		"between":                     {"WHERE timestamp BETWEEN DATE '2025-01-02' AND timestamp '2025-01-03'", nil, "2025-01-02T00:00:00Z", "2025-01-03T00:00:00Z"},
		"two lower bounds":            {"WHERE timestamp > '2025-01-05' OR timestamp > '2025-01-02'", nil, "2025-01-02T00:00:00Z", end},
		"an instant":                  {"WHERE timestamp = '2025-01-02 03:04:05.123456'", nil, "2025-01-02T03:04:05.123456Z", "2025-01-02T03:04:05.123456Z"},
		"the outsides of a time":      {"WHERE timestamp < '2025-01-02' OR timestamp > '2025-02-02'", nil, none, none},
		"until":                       {"WHERE timestamp <= '2025-01-02'", nil, begin, "2025-01-02T00:00:00Z"},
		"the last hour":               {"WHERE timestamp > now() - INTERVAL 1 HOUR", nil, "2025-10-09T11:00:00Z", end},
		"the last days, quoted":       {"WHERE timestamp > current_timestamp - INTERVAL '7 days'", nil, "2025-10-02T12:00:00Z", end},
		"until an hour ago":           {"WHERE timestamp < now() - INTERVAL 1 HOUR", nil, begin, "2025-10-09T13:00:00Z"},
		"a strange unit":              {"WHERE timestamp > now() - INTERVAL 1 FORTNIGHT", nil, none, none},
		"a parameter":                 {"WHERE user_id = ? AND timestamp > ? AND timestamp < ?", []any{"u", "2025-01-02", "2025-01-03"}, "2025-01-02T00:00:00Z", "2025-01-03T00:00:00Z"},
		"a numbered parameter":        {"WHERE timestamp BETWEEN $2 AND $1", []any{"2025-01-03", "2025-01-02"}, "2025-01-02T00:00:00Z", "2025-01-03T00:00:00Z"},
		"a parameter that is missing": {"WHERE timestamp > ?", nil, none, none},
		"a parameter that is no text": {"WHERE timestamp > ?", []any{1.5}, none, none},
		"a text that is no time":      {"WHERE timestamp > 'yesterday' AND timestamp > '2025-01-02'", nil, none, none},
		"a part of a time":            {"WHERE date_trunc('day', timestamp) = '2025-01-02'", nil, none, none},
		"another column":              {"WHERE received_at >= '2025-01-02'", nil, none, none},
	} {
		from, to := none, none
		if p, ok := lakehouse.PeriodsOf(c.sql, c.args, now)["timestamp"]; ok {
			from, to = begin, end
			if p[0] > -1<<62 {
				from = time.UnixMicro(p[0]).UTC().Format(time.RFC3339Nano)
			}
			if p[1] < 1<<62 {
				to = time.UnixMicro(p[1]).UTC().Format(time.RFC3339Nano)
			}
		}
		if from != c.from || to != c.to {
			t.Errorf("%s: got %s to %s, want %s to %s", name, from, to, c.from, c.to)
		}
	}
}
