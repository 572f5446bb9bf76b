package sinks

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// unwrap undoes what posthog-js does to a body: gzip without saying so in a
// header, or base64 in a form.
func unwrap(body []byte) ([]byte, error) {
	if data, ok := bytes.CutPrefix(body, []byte("data=")); ok {
		text, err := url.QueryUnescape(string(data))
		if err != nil {
			return nil, errors.New("form cannot be read")
		}
		if body, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, errors.New("data is not base64")
		}
	}
	if !bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		return body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	return io.ReadAll(io.LimitReader(z, maxBody))
}

// files answers what posthog-js asks for besides: flags, its configuration and
// its static files.
func (s *Sinks) files(w http.ResponseWriter, r *http.Request, body []byte) {
	plain, err := unwrap(body)
	if err != nil {
		s.refuse(w, PostHogFiles, http.StatusBadRequest, err.Error())
		return
	}
	s.add(Event{Kind: PostHogFiles, Route: r.URL.Path, Name: r.Method + " " + r.URL.Path, Payload: asJSON(plain)})
	w.Header().Set("Cache-Control", "public, max-age=300")
	switch {
	case strings.HasPrefix(r.URL.Path, "/static/"), path.Ext(r.URL.Path) == ".js":
		w.Header().Set("Content-Type", "application/javascript")
		_, _ = io.WriteString(w, "/* a file of PostHog's */\n") // the client is gone when this fails
	case strings.HasPrefix(r.URL.Path, "/flags"), strings.HasPrefix(r.URL.Path, "/decide"):
		writeJSON(w, http.StatusOK, map[string]any{
			"featureFlags": map[string]any{"tunnelled": true}, "featureFlagPayloads": map[string]any{}, "errorsWhileComputingFlags": false,
			"flags": map[string]any{"tunnelled": map[string]any{"key": "tunnelled", "enabled": true, "metadata": map[string]any{"id": 1, "version": 1}}},
		})
	default:
		writeJSON(w, http.StatusOK, map[string]any{"supportedCompression": []string{"gzip-js"}, "hasFeatureFlags": true})
	}
}
