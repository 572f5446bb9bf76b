package send

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/egress"
)

// maxBody is how much of an answer is read.
const maxBody = 64 << 10

// maxExcerpt is how much of an answer is kept to show.
const maxExcerpt = 200

// bodyPatience is how long the body of an answer may take whose status says
// all that is needed.
const bodyPatience = 2 * time.Second

// Request is one POST.
type Request struct {
	URL    string
	Header http.Header
	Body   []byte
	// Secrets are taken out of everything that is kept of the answer.
	Secrets []string
	// NeedBody says that a 2xx answer means nothing without its body.
	NeedBody bool
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Excerpt is a short, printable part of the body without secrets.
	Excerpt string
}

// Do sends a request once. The answer is set whenever a status line arrived;
// err is then of the kind that the status stands for. Without an answer err is
// Temporary, Unknown or Permanent. It blocks until the answer was read or ctx
// is done. Redirects are answers like others.
func Do(ctx context.Context, client *http.Client, r *Request, now time.Time) (Answer, error) {
	if _, bounded := ctx.Deadline(); !bounded && client.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, client.Timeout)
		defer cancel()
	}
	body := newOutgoing(r.Body)
	if len(r.Body) == 0 { // then only the headers tell that something was written
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { body.wrote.Store(true) }})
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, http.NoBody)
	if err != nil {
		return Answer{}, &headlessly.Permanent{Err: errors.New("destination's URL cannot be read")}
	}
	body.attach(req)
	if r.Header != nil {
		req.Header = r.Header
	}
	res, err := roundTrip(client, req)
	if err != nil {
		return Answer{}, lost(err, body.wrote.Load(), r.Secrets)
	}
	defer func() { _ = res.Body.Close() }()
	a := Answer{Status: res.StatusCode, Header: res.Header}
	if res.ContentLength == 0 || res.Body == http.NoBody {
		return a, Error(a, now)
	}
	if !r.NeedBody { // closing it ends the reading
		patience := time.AfterFunc(bodyPatience, func() { _ = res.Body.Close() })
		defer patience.Stop()
	}
	a.Body, err = io.ReadAll(io.LimitReader(res.Body, maxBody))
	a.Excerpt = Clean(string(a.Body[:min(len(a.Body), 4*maxExcerpt)]), r.Secrets)
	if err != nil && r.NeedBody && a.Status/100 == 2 {
		return a, &headlessly.Unknown{Err: fmt.Errorf("status %d, then: %w", a.Status, bare(err, r.Secrets))}
	}
	return a, Error(a, now)
}

// Error gives the error that an answer's status stands for, nil for 2xx.
func Error(a Answer, now time.Time) error {
	if a.Status/100 == 2 {
		return nil
	}
	text := "status " + strconv.Itoa(a.Status)
	if a.Excerpt != "" {
		text += ": " + a.Excerpt
	}
	err := errors.New(text)
	switch {
	case a.Status == http.StatusTooManyRequests:
		return &headlessly.Temporary{After: RetryAfter(a.Header, now), Throttled: true, Err: err}
	case a.Status == http.StatusRequestTimeout, a.Status == http.StatusTooEarly, a.Status >= 500:
		return &headlessly.Temporary{After: RetryAfter(a.Header, now), Err: err}
	}
	return &headlessly.Permanent{Status: a.Status, Err: err}
}

// RetryAfter reads the header in both of its forms; 0 when it is missing,
// unreadable or in the past.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if s, err := strconv.ParseFloat(v, 64); err == nil {
		const most = float64(1<<62) / float64(time.Second)
		if !(s > 0) {
			return 0
		}
		return time.Duration(min(s, most) * float64(time.Second))
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// lost classifies a request without an answer.
func lost(err error, wrote bool, secrets []string) error {
	cause := bare(err, secrets)
	switch {
	case errors.Is(err, egress.ErrAddress), errors.Is(err, egress.ErrScheme), errors.Is(err, egress.ErrCredentials):
		return &headlessly.Permanent{Err: cause}
	case wrote:
		return &headlessly.Unknown{Err: cause}
	}
	return &headlessly.Temporary{Err: cause}
}

// bare takes the URL off an error.
func bare(err error, secrets []string) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return errors.New(Clean(err.Error(), secrets))
}

// Clean makes text fit to be kept: without the secrets, on one line, short.
func Clean(text string, secrets []string) string {
	for _, s := range secrets {
		if len(s) < 4 {
			continue
		}
		text = strings.ReplaceAll(text, s, "[redacted]")
		if q := url.QueryEscape(s); q != s {
			text = strings.ReplaceAll(text, q, "[redacted]")
		}
	}
	text = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxExcerpt {
		cut := maxExcerpt
		for cut > 0 && text[cut]&0xc0 == 0x80 {
			cut--
		}
		text = text[:cut] + "…"
	}
	return text
}
