// Package signature signs webhooks and verifies them, at both ends.
//
// A receiver of headlessly's webhooks verifies a request by its raw body:
//
//	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
//	if err := signature.Verify(secret, r.Header, body, time.Now()); err != nil {
//		http.Error(w, "bad signature", http.StatusUnauthorized)
//		return
//	}
//
// Every request carries two signatures by the same secret: those of Standard
// Webhooks (webhook-id, webhook-timestamp, webhook-signature), which also bind
// the id and the time, and X-Headlessly-Signature, "sha256=" and the hex
// HMAC-SHA256 of the body. While a secret rotates, both carry one signature for
// each secret. [Verify] wants a Standard Webhooks signature where there is one,
// so that an old request cannot be sent again.
//
// The package imports the standard library only.
package signature

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of a signed request.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
	HeaderBody      = "X-Headlessly-Signature"
)

// Tolerance is how far a request's time may be from now, either way.
const Tolerance = 5 * time.Minute

// Prefix marks a secret whose rest is the key in base64, by Standard Webhooks.
const Prefix = "whsec_"

// Refusals of a request.
var (
	ErrMissing  = errors.New("the request carries no signature")
	ErrMismatch = errors.New("no signature matches: the secret or the body is another (verify the raw bytes, before any parsing)")
	ErrTime     = errors.New("the request's time is too far from now: it is old, or a clock is wrong")
	ErrSecret   = errors.New("the secret is empty, or starts with whsec_ and does not go on in base64")
)

// NewSecret makes a secret of 32 random bytes.
func NewSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return Prefix + base64.StdEncoding.EncodeToString(key)
}

// Key gives the key that Standard Webhooks signatures are made with: what
// follows whsec_ in base64, or the bytes of a secret without that prefix.
func Key(secret string) ([]byte, error) {
	rest, prefixed := strings.CutPrefix(secret, Prefix)
	if !prefixed {
		if secret == "" {
			return nil, ErrSecret
		}
		return []byte(secret), nil
	}
	key, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		key, err = base64.RawStdEncoding.DecodeString(rest)
	}
	if err != nil || len(key) == 0 {
		return nil, ErrSecret
	}
	return key, nil
}

// Standard gives the value of webhook-signature for one key.
func Standard(key []byte, id string, at time.Time, body []byte) string {
	return "v1," + base64.StdEncoding.EncodeToString(standard(key, id, strconv.FormatInt(at.Unix(), 10), body))
}

func standard(key []byte, id, timestamp string, body []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(id))
	m.Write([]byte{'.'})
	m.Write([]byte(timestamp))
	m.Write([]byte{'.'})
	m.Write(body)
	return m.Sum(nil)
}

// Body gives the value of X-Headlessly-Signature for one secret: its key is the
// secret's text as it stands.
func Body(secret string, body []byte) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write(body)
	return "sha256=" + hex.EncodeToString(m.Sum(nil))
}

// Sign sets all signature headers, with one signature for each secret.
func Sign(h http.Header, id string, at time.Time, body []byte, secrets ...string) error {
	var v1, sums []string
	for _, s := range secrets {
		key, err := Key(s)
		if err != nil {
			return err
		}
		v1, sums = append(v1, Standard(key, id, at, body)), append(sums, Body(s, body))
	}
	if len(v1) == 0 {
		return ErrSecret
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(HeaderSignature, strings.Join(v1, " "))
	h.Set(HeaderBody, strings.Join(sums, ","))
	return nil
}

// Verify judges a request by its headers and raw body. It returns nil, or an
// error that is one of this package's.
func Verify(secret string, h http.Header, body []byte, now time.Time) error {
	if h.Get(HeaderSignature) != "" {
		return VerifyStandard(secret, h.Get(HeaderID), h.Get(HeaderTimestamp), h.Get(HeaderSignature), body, now)
	}
	return VerifyBody(secret, strings.Join(h.Values(HeaderBody), ","), body)
}

// VerifyStandard verifies by Standard Webhooks.
func VerifyStandard(secret, id, timestamp, signatures string, body []byte, now time.Time) error {
	key, err := Key(secret)
	if err != nil {
		return err
	}
	if id == "" || timestamp == "" || signatures == "" {
		return fmt.Errorf("%w: webhook-id, webhook-timestamp and webhook-signature are wanted", ErrMissing)
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%w (webhook-timestamp is no number)", ErrTime)
	}
	if away := now.Sub(time.Unix(seconds, 0)); away > Tolerance || away < -Tolerance {
		return fmt.Errorf("%w (%s)", ErrTime, away.Round(time.Second))
	}
	want := standard(key, id, timestamp, body)
	for one := range strings.FieldsSeq(signatures) {
		version, value, _ := strings.Cut(one, ",")
		got, err := base64.StdEncoding.DecodeString(value)
		if version == "v1" && err == nil && subtle.ConstantTimeCompare(got, want) == 1 {
			return nil
		}
	}
	return ErrMismatch
}

// VerifyBody verifies "sha256=<hex>" of the body; several are separated by
// commas.
func VerifyBody(secret, signatures string, body []byte) error {
	if secret == "" {
		return ErrSecret
	}
	if signatures == "" {
		return ErrMissing
	}
	want := Body(secret, body)
	for one := range strings.SplitSeq(signatures, ",") {
		if subtle.ConstantTimeCompare([]byte(strings.ToLower(strings.TrimSpace(one))), []byte(want)) == 1 {
			return nil
		}
	}
	return ErrMismatch
}
