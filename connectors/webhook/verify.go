package webhook

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // some senders sign with nothing else; the operator chooses it
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/webhook/signature"
)

// Ways to verify what is sent to an integration.
const (
	verifyStandard = "standard" // Standard Webhooks
	verifyHMAC     = "hmac"     // an HMAC in a header of any name
	verifySecret   = "secret"   // the secret itself in a header
)

var errSignature = errors.New("the signature does not match")

// hashes are what an HMAC may be made with.
func hashes(name string) func() hash.Hash {
	switch name {
	case "", "sha256":
		return sha256.New
	case "sha512":
		return sha512.New
	case "sha1":
		return sha1.New
	}
	return nil
}

// check reports what is at fault in the way to verify.
func (in *inbound) check() error {
	header := func(field, name string) error {
		if !httpguts.ValidHeaderFieldName(name) || strings.EqualFold(name, "authorization") || strings.EqualFold(name, "cookie") {
			return fault("inbound."+field, "%q is no header that can be read here; Authorization and Cookie are never kept", name)
		}
		return nil
	}
	switch in.Verify {
	case verifyStandard:
		return nil
	case verifySecret:
		if in.Header == "" {
			in.Header = "X-Webhook-Secret"
		}
		return header("header", in.Header)
	case verifyHMAC:
		if in.Header == "" {
			return fault("inbound.header", "is missing: the header that carries the signature, such as X-Signature")
		}
		errs := []error{header("header", in.Header)}
		if hashes(in.Algorithm) == nil {
			errs = append(errs, fault("inbound.algorithm", "%q is not among sha256, sha512, sha1", in.Algorithm))
		}
		if in.Encoding != "" && in.Encoding != "hex" && in.Encoding != "base64" {
			errs = append(errs, fault("inbound.encoding", "%q is not among hex, base64", in.Encoding))
		}
		if in.TimestampHeader != "" {
			errs = append(errs, header("timestampHeader", in.TimestampHeader))
			if in.Signed == "" {
				in.Signed = "{timestamp}.{body}"
			}
		}
		if in.Signed != "" && (strings.Count(in.Signed, "{body}") != 1 || strings.Contains(in.Signed, "{timestamp}") != (in.TimestampHeader != "")) {
			errs = append(errs, fault("inbound.signed", "holds {body} once, and {timestamp} if timestampHeader is named"))
		}
		return errors.Join(errs...)
	}
	return fault("inbound.verify", "%q is not among standard, hmac, secret", in.Verify)
}

// judge verifies a request.
func (in *inbound) judge(secret headlessly.Secret, r *headlessly.Receipt, now time.Time) error {
	if !secret.Set() {
		return connectors.ErrNoSecret
	}
	switch in.Verify {
	case verifyStandard:
		return signature.VerifyStandard(secret.Reveal(), r.Header(signature.HeaderID), r.Header(signature.HeaderTimestamp), r.Header(signature.HeaderSignature), r.Body, now)
	case verifySecret:
		got := r.Header(in.Header)
		// It is a credential: what is kept of the request goes without it.
		r.Headers = without(r.Headers, in.Header)
		if len(got) == 0 || subtle.ConstantTimeCompare([]byte(got), []byte(secret.Reveal())) != 1 {
			return errSignature
		}
		return nil
	}
	return in.judgeHMAC(secret, r, now)
}

func (in *inbound) judgeHMAC(secret headlessly.Secret, r *headlessly.Receipt, now time.Time) error {
	timestamp := ""
	if in.TimestampHeader != "" {
		timestamp = r.Header(in.TimestampHeader)
		seconds, err := strconv.ParseInt(timestamp, 10, 64)
		if err != nil {
			return signature.ErrTime
		}
		if away := now.Sub(time.Unix(seconds, 0)); away > signature.Tolerance || away < -signature.Tolerance {
			return signature.ErrTime
		}
	}
	key, err := signature.Key(secret.Reveal())
	if err != nil {
		return err
	}
	m := hmac.New(hashes(in.Algorithm), key)
	if in.Signed == "" {
		m.Write(r.Body)
	} else {
		before, after, _ := strings.Cut(in.Signed, "{body}")
		m.Write([]byte(strings.ReplaceAll(before, "{timestamp}", timestamp)))
		m.Write(r.Body)
		m.Write([]byte(strings.ReplaceAll(after, "{timestamp}", timestamp)))
	}
	want := m.Sum(nil)
	for one := range strings.SplitSeq(r.Header(in.Header), ",") {
		text, ok := strings.CutPrefix(strings.TrimSpace(one), in.Prefix)
		if !ok {
			continue
		}
		var got []byte
		if in.Encoding == "base64" {
			got, err = base64.StdEncoding.DecodeString(text)
		} else {
			got, err = hex.DecodeString(text)
		}
		if err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return errSignature
}

// without takes a header out of a receipt's headers.
func without(headers, name string) string {
	var b strings.Builder
	for line := range strings.Lines(headers) {
		if k, _, _ := strings.Cut(line, ":"); !strings.EqualFold(k, http.CanonicalHeaderKey(name)) {
			b.WriteString(line)
		}
	}
	return b.String()
}
