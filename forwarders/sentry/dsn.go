package sentry

import (
	"errors"
	"net/url"
	"strings"
)

// dsn is where a project's envelopes go and the key that opens it.
type dsn struct {
	endpoint string
	key      string
}

// parseDSN reads PROTOCOL://PUBLIC_KEY[:SECRET]@HOST[PATH]/PROJECT_ID. Its
// errors never hold the DSN.
func parseDSN(text string) (dsn, error) {
	u, err := url.Parse(text)
	if err != nil {
		return dsn{}, errors.New("sentry dsn cannot be read")
	}
	cut := strings.LastIndexByte(u.Path, '/')
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return dsn{}, errors.New("sentry dsn must begin with https://")
	case u.User == nil || u.User.Username() == "":
		return dsn{}, errors.New("sentry dsn has no public key before the @")
	case u.Host == "":
		return dsn{}, errors.New("sentry dsn has no host")
	case cut < 0 || u.Path[cut+1:] == "":
		return dsn{}, errors.New("sentry dsn has no project id at its end")
	}
	base := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path[:cut] + "/api/" + u.Path[cut+1:] + "/envelope/"}
	return dsn{endpoint: base.String(), key: u.User.Username()}, nil
}
