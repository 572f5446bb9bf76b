package enrich_test

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/enrich"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"

func newEnricher(t testing.TB, cfg enrich.Config) *enrich.Enricher {
	t.Helper()
	en, err := enrich.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := en.Close(); err != nil {
			t.Error(err)
		}
	})
	return en
}

// geoFile builds a database with one network in it.
func geoFile(t testing.TB, kind, network string, record mmdbtype.Map) string {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	_, n, err := net.ParseCIDR(network)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Insert(n, record); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), kind+".mmdb")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func names(en string) mmdbtype.Map {
	return mmdbtype.Map{"en": mmdbtype.String(en), "de": mmdbtype.String("nicht " + en)}
}

func geoFiles(t testing.TB) []string {
	t.Helper()
	return []string{
		geoFile(t, "City", "203.0.113.64/26", mmdbtype.Map{
			"country":      mmdbtype.Map{"iso_code": mmdbtype.String("DE"), "names": names("Germany")},
			"subdivisions": mmdbtype.Slice{mmdbtype.Map{"iso_code": mmdbtype.String("BE"), "names": names("Berlin State")}},
			"city":         mmdbtype.Map{"names": names("Berlin")},
		}),
		geoFile(t, "ASN", "203.0.113.0/24", mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(64500)}),
	}
}

func TestThePlaceComesFromTheWholeAddressAndOnlyTheNetworkIsKept(t *testing.T) {
	en := newEnricher(t, enrich.Config{GeoFiles: geoFiles(t)})
	for _, c := range []struct {
		ip   string
		want headlessly.Event
	}{
		{"203.0.113.77", headlessly.Event{IP: "203.0.113.0", Country: "DE", Region: "Berlin State", City: "Berlin", ASN: 64500}},
		{"203.0.113.7", headlessly.Event{IP: "203.0.113.0", ASN: 64500}},
		{"::ffff:203.0.113.77", headlessly.Event{IP: "203.0.113.0", Country: "DE", Region: "Berlin State", City: "Berlin", ASN: 64500}},
		{"2001:db8:1:2::3", headlessly.Event{IP: "2001:db8:1::"}},
	} {
		for range 2 { // the second time from memory
			e := headlessly.Event{Source: headlessly.SourceBrowser}
			en.Apply(&e, &enrich.Request{ReceivedAt: noon, IP: netip.MustParseAddr(c.ip)})
			if e.IP != c.want.IP || e.Country != c.want.Country || e.Region != c.want.Region || e.City != c.want.City || e.ASN != c.want.ASN {
				t.Errorf("%s: got %q %q %q %q %d, want %+v", c.ip, e.IP, e.Country, e.Region, e.City, e.ASN, c.want)
			}
		}
	}
	if _, err := enrich.New(enrich.Config{GeoFiles: []string{"none.mmdb"}}); err == nil || !strings.Contains(err.Error(), "none.mmdb") {
		t.Errorf("a geo file that is not there: got %v", err)
	}
}

func TestSessions(t *testing.T) {
	en := newEnricher(t, enrich.Config{})
	first := map[string]string{}
	for _, s := range []struct {
		name, anonymous, url string
		at                   time.Duration
		same, differs        string // as the step of that name
	}{
		{"start", "a", "https://x.example/", 0, "", ""},
		{"29 minutes later", "a", "https://x.example/p", 29 * time.Minute, "start", ""},
		{"another visitor", "b", "https://x.example/", 30 * time.Minute, "", "start"},
		{"idle is counted from the last event", "a", "https://x.example/p", 58 * time.Minute, "start", ""},
		{"a campaign begins a session", "a", "https://x.example/?utm_source=news", 59 * time.Minute, "", "start"},
		{"the same campaign goes on", "a", "https://x.example/?utm_source=news", 60 * time.Minute, "a campaign begins a session", ""},
		{"and pages without one", "a", "https://x.example/q", 61 * time.Minute, "a campaign begins a session", ""},
		{"another campaign", "a", "https://x.example/?gclid=1", 62 * time.Minute, "", "a campaign begins a session"},
		{"a little late", "a", "https://x.example/q", 50 * time.Minute, "another campaign", ""},
		{"31 minutes idle", "a", "https://x.example/q", 94 * time.Minute, "", "another campaign"},
		{"hours late", "a", "https://x.example/q", -5 * time.Hour, "", "31 minutes idle"},
		{"and on", "a", "https://x.example/q", 95 * time.Minute, "31 minutes idle", ""},
	} {
		e := headlessly.Event{Tenant: "acme", AnonymousID: s.anonymous, URL: s.url, Source: headlessly.SourceBrowser, OriginalTS: noon.Add(s.at).UnixMicro()}
		en.Apply(&e, &enrich.Request{ReceivedAt: noon.Add(24 * time.Hour)})
		if len(e.SessionID) != 36 {
			t.Fatalf("%s: got session %q", s.name, e.SessionID)
		}
		first[s.name] = e.SessionID
		if s.same != "" && first[s.same] != e.SessionID {
			t.Errorf("%s: not the session of %q", s.name, s.same)
		}
		if s.differs != "" && first[s.differs] == e.SessionID {
			t.Errorf("%s: the session of %q", s.name, s.differs)
		}
	}
	for name, e := range map[string]headlessly.Event{
		"the client's own":     {Source: headlessly.SourceBrowser, AnonymousID: "a", SessionID: "mine"},
		"a server's event":     {Source: headlessly.SourceNode, UserID: "u"},
		"a bot":                {Source: headlessly.SourceBrowser, AnonymousID: "a", IsBot: true},
		"nobody in particular": {Source: headlessly.SourceBrowser},
	} {
		want := e.SessionID
		en.Apply(&e, &enrich.Request{ReceivedAt: noon})
		if e.SessionID != want {
			t.Errorf("%s: got session %q, want %q", name, e.SessionID, want)
		}
	}
}

func TestACookielessVisitorHasAnIDForADay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "salt.json")
	en := newEnricher(t, enrich.Config{SaltFile: file})
	id := func(en *enrich.Enricher, tenant, ip, agent string, at time.Time) string {
		e := headlessly.Event{Tenant: tenant, Source: headlessly.SourceBrowser}
		en.Apply(&e, &enrich.Request{ReceivedAt: at, IP: netip.MustParseAddr(ip), UserAgent: agent, Cookieless: true})
		if strings.Contains(e.IP, "77") {
			t.Errorf("the address was kept: %s", e.IP)
		}
		return e.AnonymousID
	}
	a := id(en, "acme", "203.0.113.77", chrome, noon)
	if len(a) != 36 || a != id(en, "acme", "203.0.113.77", chrome, noon.Add(time.Hour)) {
		t.Errorf("got %q and another an hour later", a)
	}
	if a != id(newEnricher(t, enrich.Config{SaltFile: file}), "acme", "203.0.113.77", chrome, noon) {
		t.Error("another id after a restart")
	}
	for name, other := range map[string]string{
		"another tenant":  id(en, "other", "203.0.113.77", chrome, noon),
		"another address": id(en, "acme", "203.0.113.78", chrome, noon),
		"another agent":   id(en, "acme", "203.0.113.77", "Mozilla/5.0 x", noon),
		"the next day":    id(en, "acme", "203.0.113.77", chrome, noon.Add(24*time.Hour)),
		"another salt":    id(newEnricher(t, enrich.Config{}), "acme", "203.0.113.77", chrome, noon),
	} {
		if other == a || other == "" {
			t.Errorf("%s: got %q, want an id of its own", name, other)
		}
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	id(en, "acme", "203.0.113.77", chrome, noon.Add(48*time.Hour))
	if after, _ := os.ReadFile(file); bytes.Equal(before, after) || bytes.Contains(after, before[20:40]) {
		t.Error("a former day's salt is still in the file")
	}
}

func TestRedaction(t *testing.T) {
	r, err := enrich.Compile(enrich.Rules{
		Query: []string{"Email", "utm_term", "gclid"}, Properties: []string{"password", "SSN"}, Patterns: []string{`[\w.]+@[\w.]+\.\w+`, `\b\d{16}\b`},
	})
	if err != nil {
		t.Fatal(err)
	}
	e := headlessly.Event{
		Source: headlessly.SourceBrowser, UserID: "zoe@example.com", Event: "x",
		URL:          "https://shop.example/a?email=zoe%40example.com&q=1&utm_term=secret&utm_source=news&gclid=abc#top",
		Referrer:     "https://shop.example/b?EMAIL=1&x=zoe@example.com",
		Title:        "Card 4111111111111111",
		ErrorMessage: "no user zoe@example.com here",
		ErrorStack:   `[{"type":"E","value":"zoe@example.com"}]`,
		Properties:   `{"a":{"Password":"p","list":[1,"zoe@example.com",{"ssn":{"n":5}}]},"b":"fine","n":4111111111111111}`,
		Traits:       `{"plan":"pro"}`,
		Context:      `{"extra":{"mail":"mailto:zoe@example.com"}}`,
	}
	newEnricher(t, enrich.Config{}).Apply(&e, &enrich.Request{ReceivedAt: noon, Redact: r})
	for _, c := range []struct{ name, got, want string }{
		{"url", e.URL, "https://shop.example/a?email=redacted&q=1&utm_term=redacted&utm_source=news&gclid=redacted#top"},
		{"query", e.Query, "email=redacted&q=1&utm_term=redacted&utm_source=news&gclid=redacted"},
		{"referrer", e.Referrer, "https://shop.example/b?EMAIL=redacted&x=redacted"},
		{"title", e.Title, "Card redacted"},
		{"utm term", e.UTMTerm, ""},
		{"utm source", e.UTMSource, "news"},
		{"click id", e.ClickID + e.ClickIDKind, ""},
		{"message", e.ErrorMessage, "no user redacted here"},
		{"stack", e.ErrorStack, `[{"type":"E","value":"redacted"}]`},
		{"properties", e.Properties, `{"a":{"Password":"[redacted]","list":[1,"redacted",{"ssn":"[redacted]"}]},"b":"fine","n":4111111111111111}`},
		{"traits", e.Traits, `{"plan":"pro"}`},
		{"context", e.Context, `{"extra":{"mail":"mailto:redacted"}}`},
		{"ids stay", e.UserID, "zoe@example.com"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, c.got, c.want)
		}
	}
	if _, err := enrich.Compile(enrich.Rules{Patterns: []string{"ok", "("}}); err == nil || !strings.Contains(err.Error(), "pattern 1") {
		t.Errorf("got %v, want the pattern named", err)
	}
	if none, err := enrich.Compile(enrich.Rules{}); none != nil || err != nil {
		t.Errorf("no rules: got %v, %v", none, err)
	}
}

func TestBotsAreMarkedAndKept(t *testing.T) {
	en := newEnricher(t, enrich.Config{})
	for agent, bot := range map[string]bool{
		chrome: false,
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1": false,
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)":                                                                true,
		"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)":                                  true,
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36":                           true,
		"Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)":                                                                      true,
	} {
		e := headlessly.Event{Type: "page"}
		en.Apply(&e, &enrich.Request{ReceivedAt: noon, UserAgent: agent})
		if e.IsBot != bot || (e.Device == "bot") != bot {
			t.Errorf("%s: got bot %v, device %q", agent, e.IsBot, e.Device)
		}
	}
}

func TestConfigFaults(t *testing.T) {
	if err := (enrich.Config{SessionIdle: -1, MaxSessions: -1}).Validate(); err == nil || len(strings.Split(err.Error(), "\n")) != 2 {
		t.Errorf("got %v, want two faults", err)
	}
}
