package github

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v89/github"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
)

const (
	// rememberAnswers and maxRemembered bound the answers that are kept for
	// their ETags.
	rememberAnswers = 2000
	maxRemembered   = 512 << 10
	// tokenEarly is how long before its end an installation's token is renewed.
	tokenEarly = 5 * time.Minute
)

// client makes a client of go-github for an integration.
func (c *Connector) client(ctx context.Context, l *connectors.Link) (*gh.Client, error) {
	token := l.Secrets["token"].Reveal()
	if token == "" {
		var err error
		if token, err = c.installationToken(ctx, l); err != nil {
			return nil, err
		}
	}
	return c.with(l, token)
}

func (c *Connector) with(l *connectors.Link, token string) (*gh.Client, error) {
	client := *l.Client
	client.Transport = &remembering{of: l.Client, answers: c.answers}
	client.Timeout = 0 // the inner one's counts
	opts := []gh.ClientOptionsFunc{gh.WithHTTPClient(&client), gh.WithAuthToken(token), gh.WithUserAgent("headlessly")}
	if base := l.Text("apiBaseUrl"); base != "" {
		opts = append(opts, gh.WithEnterpriseURLs(base, base))
	}
	out, err := gh.NewClient(opts...)
	if err != nil {
		return nil, fault("apiBaseUrl", "is no URL; for GitHub Enterprise Server write https://HOST")
	}
	return out, nil
}

// installationToken gives the token of an App's installation, from memory while
// it is good.
func (c *Connector) installationToken(ctx context.Context, l *connectors.Link) (string, error) {
	id, err := strconv.ParseInt(fmt.Sprint(l.Fields["installationId"]), 10, 64)
	if err != nil {
		return "", fault("installationId", "is missing: give a token, or appId, installationId and the App's privateKey in credentials")
	}
	key := l.ID + " " + fingerprint(l.Secrets["privateKey"].Reveal())
	c.mu.Lock()
	known, ok := c.tokens[key]
	c.mu.Unlock()
	if ok && known.until.Sub(l.Clock()) > tokenEarly {
		return known.value.Reveal(), nil
	}
	jwt, err := appToken(fmt.Sprint(l.Fields["appId"]), l.Secrets["privateKey"].Reveal(), l.Clock())
	if err != nil {
		return "", err
	}
	app, err := c.with(l, jwt)
	if err != nil {
		return "", err
	}
	t, _, err := app.Apps.CreateInstallationToken(ctx, id, nil)
	if err != nil {
		return "", explain(l, "privateKey", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens[key] = token{headlessly.NewSecret(t.GetToken()), t.GetExpiresAt().Time}
	return t.GetToken(), nil
}

type token struct {
	value headlessly.Secret
	until time.Time
}

// appToken signs what an App says who it is with (JWT, RS256, good for nine
// minutes).
func appToken(appID, key string, now time.Time) (string, error) {
	block, _ := pem.Decode([]byte(key))
	if block == nil {
		return "", fault("credentials", "privateKey is no PEM file; download it from the App's settings")
	}
	private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		var ok bool
		if private, ok = any.(*rsa.PrivateKey); err != nil || !ok {
			return "", fault("credentials", "privateKey is no RSA key; download it from the App's settings")
		}
	}
	encode := base64.RawURLEncoding.EncodeToString
	claims, err := json.Marshal(map[string]any{"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(9 * time.Minute).Unix(), "iss": appID})
	if err != nil {
		return "", err
	}
	text := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return text + "." + encode(sig), nil
}

func fingerprint(s string) string {
	sum := sha256.Sum256([]byte(s))
	return string(sum[:])
}

// remembered is an answer that GitHub may call unchanged.
type remembered struct {
	etag   string
	header http.Header
	body   []byte
}

// remembering asks with the ETag of the answer before, and gives that answer
// again when it still holds.
type remembering struct {
	of      *http.Client
	answers *lru.Cache[string, remembered]
}

// RoundTrip implements http.RoundTripper.
func (t *remembering) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet {
		return t.of.Do(req) //nolint:gosec // the guarded client
	}
	key := fingerprint(req.Header.Get("Authorization") + req.URL.String())
	before, known := t.answers.Get(key)
	if known {
		req = req.Clone(req.Context())
		req.Header.Set("If-None-Match", before.etag)
	}
	res, err := t.of.Do(req) //nolint:gosec // the guarded client
	if err != nil {
		return nil, err
	}
	etag := res.Header.Get("ETag")
	switch {
	case known && res.StatusCode == http.StatusNotModified:
		_ = res.Body.Close()
		header := before.header.Clone()
		for _, name := range []string{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Ratelimit-Used", "X-Ratelimit-Resource"} {
			if v := res.Header.Get(name); v != "" {
				header.Set(name, v)
			}
		}
		res.StatusCode, res.Status, res.Header = http.StatusOK, "200 OK", header
		res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(before.body)), int64(len(before.body))
	case res.StatusCode == http.StatusOK && etag != "":
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			return nil, err
		}
		if len(body) <= maxRemembered {
			t.answers.Add(key, remembered{etag, res.Header.Clone(), body})
		}
		res.Body = io.NopCloser(bytes.NewReader(body))
	}
	return res, nil
}

// explain gives an error of GitHub's the kind that it stands for. field names
// the credential.
func explain(l *connectors.Link, field string, err error) error {
	if err == nil {
		return nil
	}
	var limit *gh.RateLimitError
	var abuse *gh.AbuseRateLimitError
	var answer *gh.ErrorResponse
	switch {
	case errors.As(err, &limit):
		return &headlessly.Temporary{After: max(limit.Rate.Reset.Sub(l.Clock()), time.Second), Throttled: true, Err: errors.New("GitHub's rate limit is used up")}
	case errors.As(err, &abuse):
		after := time.Minute
		if abuse.RetryAfter != nil {
			after = max(*abuse.RetryAfter, time.Second)
		}
		return &headlessly.Temporary{After: after, Throttled: true, Err: errors.New("GitHub's secondary rate limit")}
	case !errors.As(err, &answer) || answer.Response == nil:
		return &headlessly.Temporary{Err: fmt.Errorf("GitHub cannot be reached: %w", err)}
	}
	status := answer.Response.StatusCode
	text := fmt.Errorf("GitHub answered %d: %s", status, answer.Message)
	switch {
	case status == http.StatusUnauthorized:
		return &connectors.CredentialError{Field: field, Message: "GitHub does not take this credential; make a new one"}
	case status == http.StatusTooManyRequests:
		after, err := strconv.Atoi(answer.Response.Header.Get("Retry-After"))
		if err != nil || after < 1 {
			after = 60
		}
		return &headlessly.Temporary{After: time.Duration(after) * time.Second, Throttled: true, Err: text}
	case status >= http.StatusInternalServerError:
		return &headlessly.Temporary{Err: text}
	case status == http.StatusForbidden:
		e := &connectors.CredentialError{Field: field, Message: "the credential may not do this at GitHub: " + answer.Message}
		if need := answer.Response.Header.Get("X-Accepted-GitHub-Permissions"); need != "" {
			e.Missing = strings.Split(need, ",")
		}
		return e
	case status == http.StatusUnprocessableEntity:
		e := &connectors.RefusedError{Message: text.Error(), Status: status}
		if len(answer.Errors) > 0 {
			f := answer.Errors[0]
			e.Field = map[string]string{"body": "description", "assignees": "assignee"}[f.Field]
			if e.Field == "" {
				e.Field = f.Field
			}
			e.Message = "GitHub refuses it: " + f.Field + " " + f.Code + " " + f.Message
		}
		return e
	}
	return &headlessly.Permanent{Status: status, Err: text}
}
