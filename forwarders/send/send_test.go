package send_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/send"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		value string
		want  time.Duration
	}{
		{"", 0},
		{"120", 2 * time.Minute},
		{" 5 ", 5 * time.Second},
		{"0.5", 500 * time.Millisecond},
		{"-1", 0},
		{"soon", 0},
		{"NaN", 0},
		{"Thu, 01 Jan 2026 12:01:00 GMT", time.Minute},
		{"Thu, 01 Jan 2026 11:00:00 GMT", 0},
		{"1e30", 1 << 62},
		{"Inf", 1 << 62},
	} {
		if got := send.RetryAfter(http.Header{"Retry-After": {row.value}}, now); got != row.want {
			t.Errorf("%q: got %s, want %s", row.value, got, row.want)
		}
	}
}

func TestWhatIsKeptOfAnAnswer(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"plain", "no such project", "no such project"},
		{"a secret", "key s3cr3t/+x is wrong", "key [redacted] is wrong"},
		{"a secret as in a URL", "key=s3cr3t%2F%2Bx", "key=[redacted]"},
		{"lines and control characters", "a\r\n\tb\x00c", "a b c"},
		{"bytes that are not UTF-8", "a\xff\xfeb", "a b"},
		{"nothing", "", ""},
	} {
		if got := send.Clean(row.text, []string{"s3cr3t/+x", ""}); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
	long := send.Clean(strings.Repeat("ä", 500), nil)
	if len(long) > 204 || !utf8.ValidString(long) || !strings.HasSuffix(long, "…") {
		t.Errorf("a long text became %d bytes: %q", len(long), long)
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Thu, 01 Jan 2026 12:01:00 GMT")
	f.Fuzz(func(t *testing.T, value string) {
		if got := send.RetryAfter(http.Header{"Retry-After": {value}}, headlessly.SystemClock()); got < 0 {
			t.Errorf("%q: got %s", value, got)
		}
	})
}
