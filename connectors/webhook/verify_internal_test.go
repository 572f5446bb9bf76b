package webhook

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // an algorithm that an operator may choose
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
)

// FuzzHMAC: an HMAC in a header, in every form that a sender may use (Slack's
// among them), is accepted if it was made with the secret over this very body
// and a time within five minutes, and only then.
func FuzzHMAC(f *testing.F) {
	const key = "a secret of a test"
	now := time.Unix(1_772_366_400, 0)
	var secret headlessly.Secret
	if err := secret.UnmarshalText([]byte(key)); err != nil {
		f.Fatal(err)
	}
	type form struct {
		in     inbound
		hash   func() hash.Hash
		encode func([]byte) string
	}
	forms := []form{
		{inbound{Verify: verifyHMAC, Header: "X-Signature"}, sha256.New, hex.EncodeToString},
		{inbound{Verify: verifyHMAC, Header: "X-Hub-Signature", Prefix: "sha1=", Algorithm: "sha1"}, sha1.New, hex.EncodeToString},
		{inbound{Verify: verifyHMAC, Header: "X-Shop-Hmac", Encoding: "base64"}, sha256.New, base64.StdEncoding.EncodeToString},
		{inbound{Verify: verifyHMAC, Header: "X-Slack-Signature", Prefix: "v0=", TimestampHeader: "X-Slack-Request-Timestamp", Signed: "v0:{timestamp}:{body}"}, sha256.New, hex.EncodeToString},
		{inbound{Verify: verifyHMAC, Header: "X-S", Algorithm: "sha512", TimestampHeader: "X-T"}, sha512.New, hex.EncodeToString},
	}
	for i := range forms {
		if err := forms[i].in.check(); err != nil {
			f.Fatal(err)
		}
	}
	signed := func(c form, stamp, body string) string {
		text := body
		if c.in.TimestampHeader != "" {
			text = strings.NewReplacer("{timestamp}", stamp, "{body}", body).Replace(c.in.Signed)
		}
		m := hmac.New(c.hash, []byte(key))
		m.Write([]byte(text))
		return c.in.Prefix + c.encode(m.Sum(nil))
	}
	at := strconv.FormatInt(now.Unix(), 10)
	for i, c := range forms {
		f.Add(uint8(i), at, signed(c, at, "body"), "body")
		f.Add(uint8(i), at, "v0=, ,"+signed(c, at, "body"), "body")
		f.Add(uint8(i), "1", signed(c, "1", "body"), "body")
		f.Add(uint8(i), "9223372036854775807", signed(c, "9223372036854775807", "body"), "body")
		f.Add(uint8(i), "-9223372036854775808", signed(c, "-9223372036854775808", "body"), "body")
		f.Add(uint8(i), at, c.in.Prefix, "")
		f.Add(uint8(i), at, signed(c, at, "body")[:len(c.in.Prefix)+8], "body")
	}
	f.Fuzz(func(t *testing.T, which uint8, stamp, header, body string) {
		c := forms[int(which)%len(forms)]
		verify := func(stamp, header string) error {
			r := headlessly.Receipt{Headers: strings.ToLower(c.in.Header) + ": " + header + "\nx-slack-request-timestamp: " + stamp + "\nx-t: " + stamp + "\n", Body: []byte(body)}
			return c.in.judge(secret, &r, now)
		}
		for _, header := range []string{signed(c, at, body), "x," + signed(c, at, body)} {
			if err := verify(at, header); err != nil {
				t.Fatalf("%q is refused for %q: %v", header, body, err)
			}
		}
		if strings.ContainsAny(stamp+header, "\r\n") || verify(stamp, header) != nil {
			return
		}
		stamp = strings.TrimSpace(stamp)
		if c.in.TimestampHeader != "" {
			if n, err := strconv.ParseInt(stamp, 10, 64); err != nil || n < now.Unix()-300 || n > now.Unix()+300 {
				t.Fatalf("the time %q is accepted", stamp)
			}
		}
		want := signed(c, stamp, body)
		for one := range strings.SplitSeq(header, ",") {
			one = strings.TrimSpace(one)
			if one == want || c.in.Encoding != "base64" && strings.EqualFold(one, want) {
				return
			}
			if raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(one, c.in.Prefix)); c.in.Encoding == "base64" && err == nil && c.in.Prefix+c.encode(raw) == want {
				return // other padding bits
			}
		}
		t.Fatalf("%q with the time %q is accepted for %q", header, stamp, body)
	})
}
