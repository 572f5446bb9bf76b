package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/outbox"
	"github.com/headlessly/headlessly/connectors/webhook/signature"
)

const (
	// maxAnswer is how much of an answer is read, so that the connection can be
	// used again.
	maxAnswer  = 64 << 10
	maxExcerpt = 200
	// maxRetryAfter bounds the pause that a receiver can ask for.
	maxRetryAfter = 6 * time.Hour
	userAgent     = "headlessly-webhooks/1"
)

// sender makes an endpoint's requests.
type sender struct {
	url           string
	secret        headlessly.Secret
	previous      headlessly.Secret // signs too, until
	previousUntil time.Time
	headers       map[string]string
	batch         bool
	client        *http.Client
	clock         headlessly.Clock
}

// Send implements outbox.Sender.
func (s *sender) Send(ctx context.Context, events []*graph.Happened) (outbox.Answer, error) {
	id, body, err := Body(events, s.batch)
	if err != nil {
		return outbox.Answer{}, &headlessly.Permanent{Err: err}
	}
	return s.post(ctx, id, body)
}

func (s *sender) post(ctx context.Context, id string, body []byte) (outbox.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return outbox.Answer{}, &headlessly.Permanent{Err: errors.New("the URL cannot be read")}
	}
	for name, value := range s.headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", userAgent)
	now := s.clock()
	secrets := []string{s.secret.Reveal()}
	if s.previous.Set() && now.Before(s.previousUntil) {
		secrets = append(secrets, s.previous.Reveal())
	}
	if err := signature.Sign(req.Header, id, now, body, secrets...); err != nil {
		return outbox.Answer{}, &headlessly.Permanent{Err: err}
	}
	res, err := s.client.Do(req)
	if err != nil {
		return outbox.Answer{}, s.lost(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer)) // the status says all that is needed
	a := outbox.Answer{Status: res.StatusCode, Note: s.excerpt(text)}
	return a, judge(res, now)
}

// judge gives the error that an answer's status stands for. Everything but 2xx
// is tried again, 410 is not.
func judge(res *http.Response, now time.Time) error {
	err := fmt.Errorf("the receiver answered %d", res.StatusCode)
	after, asked := retryAfter(res.Header.Get("Retry-After"), now)
	switch {
	case res.StatusCode/100 == 2:
		return nil
	case res.StatusCode == http.StatusGone:
		return fmt.Errorf("%w: %w", err, outbox.ErrGone)
	case res.StatusCode == http.StatusTooManyRequests && asked:
		return &headlessly.Temporary{After: after, Throttled: true, Err: err}
	}
	return &headlessly.Temporary{After: after, Err: err}
}

// retryAfter reads the header in both of its forms.
func retryAfter(v string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.ParseUint(strings.TrimSpace(v), 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter), true
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(t.Sub(now), 0), maxRetryAfter), true
	}
	return 0, false
}

// lost is a request without an answer. The URL is the tenant's business: it may
// hold a token.
func (s *sender) lost(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("the receiver did not answer in time")
	}
	return errors.New(s.clean(err.Error()))
}

// excerpt is a short, printable part of an answer without secrets.
func (s *sender) excerpt(body []byte) string {
	return s.clean(string(body[:min(len(body), 4*maxExcerpt)]))
}

func (s *sender) clean(text string) string {
	hide := []string{s.secret.Reveal(), s.previous.Reveal(), s.url}
	for _, v := range s.headers {
		hide = append(hide, v)
	}
	for _, v := range hide {
		if len(v) >= 4 {
			text = strings.ReplaceAll(text, v, "[redacted]")
		}
	}
	text = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= maxExcerpt {
		return text
	}
	cut := maxExcerpt
	for cut > 0 && text[cut]&0xc0 == 0x80 {
		cut--
	}
	return text[:cut] + "…"
}
