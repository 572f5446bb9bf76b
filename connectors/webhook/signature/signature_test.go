package signature_test

import (
	"errors"
	"net/http"
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

func FuzzVerifyTakesOnlyWhatWasSigned(f *testing.F) {
	f.Add("msg_1", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", []byte("{}"))
	f.Fuzz(func(t *testing.T, id, timestamp, header string, body []byte) {
		at := time.Unix(1614265330, 0)
		if err := signature.VerifyStandard(vector.secret, id, timestamp, header, body, at); err == nil {
			key, _ := signature.Key(vector.secret)
			if !strings.Contains(header, signature.Standard(key, id, at, body)[3:]) {
				t.Errorf("took %q %q %q", id, timestamp, header)
			}
		}
	})
}
