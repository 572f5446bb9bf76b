package github_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/github"
)

// FuzzSignature: what is accepted is "sha256=" and the HMAC of this very body,
// in hex; and what we sign so is accepted. A SHA-1 signature beside it changes
// nothing.
func FuzzSignature(f *testing.F) {
	const secret = "a secret of a test"
	var sealed headlessly.Secret
	if err := sealed.UnmarshalText([]byte(secret)); err != nil {
		f.Fatal(err)
	}
	l := &connectors.Link{Secrets: map[string]headlessly.Secret{"webhookSecret": sealed}}
	sign := func(body []byte) string {
		h := hmac.New(sha256.New, []byte(secret))
		h.Write(body)
		return "sha256=" + hex.EncodeToString(h.Sum(nil))
	}
	body := []byte(`{"action":"opened"}`)
	f.Add(sign(body), body)
	f.Add(strings.ToUpper(sign(body)), body)
	f.Add("sha256="+strings.ToUpper(sign(body)[len("sha256="):]), body)
	f.Add("sha256=", []byte{})
	f.Add("sha1="+sign(body)[len("sha256="):], body)
	f.Add(sign(body)[:20], body)
	f.Add(sign(body)+"00", body)
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		verify := func(headers string) error {
			return new(github.Connector).Verify(l, &headlessly.Receipt{Headers: headers, Body: body})
		}
		if err := verify("x-hub-signature: sha1=00\nx-hub-signature-256: " + sign(body) + "\n"); err != nil {
			t.Fatalf("a right signature of %q is refused: %v", body, err)
		}
		if strings.ContainsAny(header, "\r\n") || verify("x-hub-signature-256: "+header+"\n") != nil {
			return
		}
		if got, ok := strings.CutPrefix(strings.TrimSpace(header), "sha256="); !ok || strings.ToLower(got) != sign(body)[len("sha256="):] {
			t.Fatalf("%q is accepted for %q", header, body)
		}
	})
}
