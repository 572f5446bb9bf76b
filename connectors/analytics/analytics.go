package analytics

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"strings"

	"github.com/headlessly/headlessly"
)

// DefaultPostHogHost is where PostHog's US cloud takes events.
const DefaultPostHogHost = "https://us.i.posthog.com"

var measurementID = regexp.MustCompile(`^G-[A-Z0-9]{4,20}$`) //nolint:gochecknoglobals // a constant

// Parse reads the destinations argument. The error joins one
// *headlessly.FieldError for each fault.
func Parse(raw []byte) (headlessly.Destinations, error) {
	var d headlessly.Destinations
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return d, &headlessly.FieldError{Code: "validation_failed", Field: "destinations", Message: explain(err)}
	}
	return d, Validate(d)
}

// explain turns encoding/json's message into one for a person.
func explain(err error) string {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return fmt.Sprintf("%s must be %s, got %s", wrong.Field, wrong.Type, wrong.Value)
	case strings.Contains(err.Error(), "unknown field"):
		return strings.TrimPrefix(err.Error(), "json: ") + "; known are ga {measurementId, apiSecret, endpoint, resendUnknown, propertyId, serviceAccount, adminEndpoint}, sentry {dsn}, posthog {apiKey, host, capture, profiles, projectId, personalApiKey, appHost}, http {url, headers, body, batch, secret}, each with rules"
	}
	return "is not valid JSON"
}

// Validate checks destinations; every fault is reported.
func Validate(d headlessly.Destinations) error {
	var errs []error
	fault := func(field, message string) {
		errs = append(errs, &headlessly.FieldError{Code: "validation_failed", Field: "destinations." + field, Message: message})
	}
	if d == (headlessly.Destinations{}) {
		fault("", "name at least one of ga, sentry, posthog, http")
		errs[0].(*headlessly.FieldError).Field = "destinations" //nolint:errorlint,forcetypeassert // just made
	}
	if d.GA != nil {
		if !measurementID.MatchString(d.GA.MeasurementID) {
			fault("ga.measurementId", "must look like G-XXXXXXXXXX (Google Analytics: Admin, Data streams)")
		}
		checkURL(fault, "ga.endpoint", d.GA.Endpoint)
		if d.GA.Validate && !d.GA.APISecret.Set() {
			fault("ga.validate", "needs ga.apiSecret: only the Measurement Protocol has a validation server")
		}
		checkURL(fault, "ga.adminEndpoint", d.GA.AdminEndpoint)
		checkPair(fault, "ga.propertyId", d.GA.PropertyID, "ga.serviceAccount", d.GA.ServiceAccount)
	}
	if d.Sentry != nil {
		checkDSN(fault, d.Sentry.DSN.Reveal())
	}
	if d.PostHog != nil {
		if !d.PostHog.APIKey.Set() {
			fault("posthog.apiKey", "is missing (PostHog: Settings, Project API key, phc_…)")
		} else if strings.HasPrefix(d.PostHog.APIKey.Reveal(), "phx_") {
			fault("posthog.apiKey", "is a personal key (phx_…); the project key (phc_…) is wanted")
		}
		checkURL(fault, "posthog.host", d.PostHog.Host)
		checkURL(fault, "posthog.appHost", d.PostHog.AppHost)
		checkPair(fault, "posthog.projectId", d.PostHog.ProjectID, "posthog.personalApiKey", d.PostHog.PersonalKey)
	}
	if d.HTTP != nil && !d.HTTP.URL.Set() {
		fault("http.url", "is missing: name where to POST, such as https://host/path")
	}
	return errors.Join(errs...)
}

// checkPair checks a number and a credential that are of use together alone.
func checkPair(fault func(field, message string), numberField, number, secretField string, secret headlessly.Secret) {
	switch {
	case number == "" && secret.Set():
		fault(numberField, "is missing; a person's deletion needs it beside "+secretField)
	case number != "" && !secret.Set():
		fault(secretField, "is missing; a person's deletion needs it beside "+numberField)
	case strings.Trim(number, "0123456789") != "":
		fault(numberField, "must be a number")
	}
}

func checkURL(fault func(field, message string), field, s string) {
	if s == "" {
		return
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		fault(field, "must be an address such as https://host with nothing but a path behind it")
	}
}

func checkDSN(fault func(field, message string), dsn string) {
	const want = "must look like https://PUBLIC_KEY@HOST/PROJECT_ID (Sentry: Settings, Client keys)"
	u, err := url.Parse(dsn)
	switch {
	case dsn == "":
		fault("sentry.dsn", "is missing: it "+want)
	case err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User.Username() == "":
		fault("sentry.dsn", want)
	case strings.Trim(u.Path, "/") == "" || u.RawQuery != "" || u.Fragment != "":
		fault("sentry.dsn", "has no project id: it "+want)
	}
}

// Merge lays the destinations that add names over base.
func Merge(base, add headlessly.Destinations) headlessly.Destinations {
	to, from := reflect.ValueOf(&base).Elem(), reflect.ValueOf(add)
	for i := range from.NumField() {
		if f := from.Field(i); !f.IsNil() {
			to.Field(i).Set(f)
		}
	}
	return base
}

// Public is the part of the destinations that may be shown: what identifies
// them, never a credential.
func Public(d headlessly.Destinations) map[string]any {
	out := map[string]any{}
	if d.GA != nil {
		protocol := "g/collect (unofficial: the browser's own, no api secret given)"
		if d.GA.APISecret.Set() {
			protocol = "mp/collect"
		}
		out["ga"] = map[string]any{"measurementId": d.GA.MeasurementID, "protocol": protocol}
	}
	if d.Sentry != nil {
		m := map[string]any{}
		if u, err := url.Parse(d.Sentry.DSN.Reveal()); err == nil {
			m["host"], m["project"] = u.Host, strings.Trim(u.Path, "/")
		}
		out["sentry"] = m
	}
	if d.PostHog != nil {
		host := d.PostHog.Host
		if host == "" {
			host = DefaultPostHogHost
		}
		out["posthog"] = map[string]any{"host": host}
	}
	if d.HTTP != nil {
		m := map[string]any{}
		if u, err := url.Parse(d.HTTP.URL.Reveal()); err == nil {
			m["host"] = u.Host // path and query often carry a token
		}
		out["http"] = m
	}
	return out
}
