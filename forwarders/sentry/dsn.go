package sentry

import (
	"errors"
	"net/url"
	"strings"
)

// DSN is where a project's envelopes go and the key that opens it.
type DSN struct {
	Endpoint string // the address of envelopes
	Host     string
	Project  string
	Key      string // the public one
}

// ParseDSN reads PROTOCOL://PUBLIC_KEY[:SECRET]@HOST[PATH]/PROJECT_ID. Its
// errors never hold the DSN.
func ParseDSN(text string) (DSN, error) {
	u, err := url.Parse(text)
	if err != nil {
		return DSN{}, errors.New("sentry dsn cannot be read")
	}
	cut := strings.LastIndexByte(u.Path, '/')
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return DSN{}, errors.New("sentry dsn must begin with https://")
	case u.User == nil || u.User.Username() == "":
		return DSN{}, errors.New("sentry dsn has no public key before the @")
	case u.Host == "":
		return DSN{}, errors.New("sentry dsn has no host")
	case cut < 0 || u.Path[cut+1:] == "":
		return DSN{}, errors.New("sentry dsn has no project id at its end")
	}
	base := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path[:cut] + "/api/" + u.Path[cut+1:] + "/envelope/"}
	return DSN{Endpoint: base.String(), Host: u.Host, Project: u.Path[cut+1:], Key: u.User.Username()}, nil
}
