package stripe_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/stripe"
)

// FuzzSignature: what is accepted is signed with the secret, for this very
// body, within five minutes; and what we sign is accepted.
func FuzzSignature(f *testing.F) {
	const secret = "whsec_of_a_test" //nolint:gosec // no secret
	now := time.Unix(1_772_366_400, 0)
	var sealed headlessly.Secret
	if err := sealed.UnmarshalText([]byte(secret)); err != nil {
		f.Fatal(err)
	}
	l := &connectors.Link{Secrets: map[string]headlessly.Secret{"webhookSecret": sealed}, Clock: func() time.Time { return now }}
	mac := func(at string, body []byte) string {
		h := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(h, "%s.%s", at, body)
		return hex.EncodeToString(h.Sum(nil))
	}
	sign := func(at int64, body []byte) string {
		s := strconv.FormatInt(at, 10)
		return "t=" + s + ",v1=" + mac(s, body)
	}
	body := []byte(`{"id":"evt_1"}`)
	f.Add(sign(now.Unix(), body), body)
	f.Add(sign(now.Unix()+299, body), body)
	f.Add(sign(now.Unix()+301, body), body)
	f.Add(sign(now.Unix()-301, body)+",t="+strconv.FormatInt(now.Unix(), 10), body)
	f.Add("t="+strconv.FormatInt(now.Unix(), 10)+",v1=", body)
	f.Add("t=1,v0=00,v1=zz", []byte{})
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		verify := func(header string, body []byte) error {
			return new(stripe.Connector).Verify(l, &headlessly.Receipt{Headers: "stripe-signature: " + header + "\n", Body: body})
		}
		if err := verify(sign(now.Unix(), body), body); err != nil {
			t.Fatalf("a right signature of %q is refused: %v", body, err)
		}
		if strings.ContainsAny(header, "\r\n") || verify(header, body) != nil {
			return
		}
		for at := range strings.SplitSeq(header, ",") {
			s, ok := strings.CutPrefix(strings.TrimSpace(at), "t=")
			n, err := strconv.ParseInt(s, 10, 64)
			if !ok || err != nil {
				continue
			}
			if age := now.Sub(time.Unix(n, 0)).Abs(); age > 5*time.Minute {
				t.Fatalf("%q is accepted, and one of its times is %s away", header, age)
			}
			if strings.Contains(strings.ToLower(header), mac(s, body)) {
				return
			}
		}
		t.Fatalf("%q is accepted for %q without a right signature", header, body)
	})
}
