package signature_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/webhook/signature"
)

// vector is the public one of the Standard Webhooks specification.
var vector = struct{ secret, id, timestamp, body, signature string }{
	"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", `{"test": 2432232314}`,
	"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}

func TestThePublicVectorOfStandardWebhooks(t *testing.T) {
	key, err := signature.Key(vector.secret)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1614265330, 0)
	if got := signature.Standard(key, vector.id, at, []byte(vector.body)); got != vector.signature {
		t.Errorf("got %s, want %s", got, vector.signature)
	}
}

func TestRequestsAreJudged(t *testing.T) {
	at := time.Unix(1614265330, 0)
	for _, c := range []struct {
		name                                string
		secret, id, timestamp, body, header string
		now                                 time.Time
		want                                error
	}{
		{"right", vector.secret, vector.id, vector.timestamp, vector.body, vector.signature, at, nil},
		{"right, among others", vector.secret, vector.id, vector.timestamp, vector.body, "v1,AAAA v2,xyz v1a,foo " + vector.signature, at, nil},
		{"the tolerance's edge, late", vector.secret, vector.id, vector.timestamp, vector.body, vector.signature, at.Add(signature.Tolerance), nil},
		{"the tolerance's edge, early", vector.secret, vector.id, vector.timestamp, vector.body, vector.signature, at.Add(-signature.Tolerance), nil},
		{"too old", vector.secret, vector.id, vector.timestamp, vector.body, vector.signature, at.Add(signature.Tolerance + time.Second), signature.ErrTime},
		{"from the future", vector.secret, vector.id, vector.timestamp, vector.body, vector.signature, at.Add(-signature.Tolerance - time.Second), signature.ErrTime},
		{"another body", vector.secret, vector.id, vector.timestamp, vector.body + " ", vector.signature, at, signature.ErrMismatch},
		{"another id", vector.secret, "msg_x", vector.timestamp, vector.body, vector.signature, at, signature.ErrMismatch},
		{"another time", vector.secret, vector.id, "1614265331", vector.body, vector.signature, at, signature.ErrMismatch},
		{"another secret", "whsec_AAAA", vector.id, vector.timestamp, vector.body, vector.signature, at, signature.ErrMismatch},
		{"another version with the right value", vector.secret, vector.id, vector.timestamp, vector.body, "v2" + vector.signature[2:], at, signature.ErrMismatch},
		{"half a signature", vector.secret, vector.id, vector.timestamp, vector.body, vector.signature[:20], at, signature.ErrMismatch},
		{"no id", vector.secret, "", vector.timestamp, vector.body, vector.signature, at, signature.ErrMissing},
		{"no time", vector.secret, vector.id, "", vector.body, vector.signature, at, signature.ErrMissing},
		{"a time that is none", vector.secret, vector.id, "noon", vector.body, vector.signature, at, signature.ErrTime},
		{"no secret", "", vector.id, vector.timestamp, vector.body, vector.signature, at, signature.ErrSecret},
		{"a secret that is not base64", "whsec_!", vector.id, vector.timestamp, vector.body, vector.signature, at, signature.ErrSecret},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			h.Set(signature.HeaderID, c.id)
			h.Set(signature.HeaderTimestamp, c.timestamp)
			h.Set(signature.HeaderSignature, c.header)
			if err := signature.Verify(c.secret, h, []byte(c.body), c.now); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestARotationCarriesASignatureForEachSecret(t *testing.T) {
	at, body, h := time.Unix(1700000000, 0), []byte(`{"event":"Deal.Closed"}`), http.Header{}
	old, next := "a secret of the user's own", signature.NewSecret()
	if err := signature.Sign(h, "evt_1", at, body, next, old); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{old, next} {
		if err := signature.Verify(secret, h, body, at); err != nil {
			t.Errorf("Standard Webhooks with %q: %v", secret, err)
		}
		if err := signature.VerifyBody(secret, h.Get(signature.HeaderBody), body); err != nil {
			t.Errorf("X-Headlessly-Signature with %q: %v", secret, err)
		}
	}
	if err := signature.VerifyBody("other", h.Get(signature.HeaderBody), body); !errors.Is(err, signature.ErrMismatch) {
		t.Errorf("another secret: got %v, want a mismatch", err)
	}
	h.Del(signature.HeaderSignature)
	if err := signature.Verify(old, h, body, at); err != nil {
		t.Errorf("without Standard Webhooks' header: %v", err)
	}
	h.Del(signature.HeaderBody)
	if err := signature.Verify(old, h, body, at); !errors.Is(err, signature.ErrMissing) {
		t.Errorf("without any: got %v, want it missing", err)
	}
}

// FuzzStandardWebhooks: what is accepted was signed with the secret, over this
// id, time and body, within five minutes; and what we sign is accepted.
func FuzzStandardWebhooks(f *testing.F) {
	at := time.Unix(1614265330, 0)
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(vector.secret, signature.Prefix))
	if err != nil {
		f.Fatal(err)
	}
	mac := func(id, timestamp string, body []byte) string {
		m := hmac.New(sha256.New, key)
		fmt.Fprintf(m, "%s.%s.%s", id, timestamp, body)
		return base64.StdEncoding.EncodeToString(m.Sum(nil))
	}
	f.Add(vector.id, vector.timestamp, vector.signature, []byte(vector.body))
	f.Add(vector.id, vector.timestamp, "v1a,x v2,"+vector.signature[3:]+" "+vector.signature, []byte(vector.body))
	f.Add("msg_1", "1614265330", "v1,", []byte("{}"))
	for _, stamp := range []string{"1614265030", "1614265029", "1614265630", "1614265631", "9223372036854775807", "-9223372036854775808"} {
		f.Add("msg_1", stamp, "v1,"+mac("msg_1", stamp, []byte("{}")), []byte("{}"))
	}
	f.Fuzz(func(t *testing.T, id, timestamp, header string, body []byte) {
		if id != "" {
			if err := signature.VerifyStandard(vector.secret, id, vector.timestamp, "v1,"+mac(id, vector.timestamp, body), body, at); err != nil {
				t.Fatalf("a right signature of %q is refused: %v", body, err)
			}
		}
		if signature.VerifyStandard(vector.secret, id, timestamp, header, body, at) != nil {
			return
		}
		if n, err := strconv.ParseInt(timestamp, 10, 64); err != nil || n < at.Unix()-300 || n > at.Unix()+300 {
			t.Fatalf("the time %q is accepted", timestamp)
		}
		want := mac(id, timestamp, body)
		for one := range strings.SplitSeq(header, " ") {
			text, ok := strings.CutPrefix(one, "v1,")
			if raw, err := base64.StdEncoding.DecodeString(text); ok && err == nil && base64.StdEncoding.EncodeToString(raw) == want {
				return
			}
		}
		t.Fatalf("%q is accepted for %q, %q and %q", header, id, timestamp, body)
	})
}
