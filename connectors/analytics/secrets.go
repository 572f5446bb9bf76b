package analytics

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
)

// together lays the secrets into the destinations that they belong to. The
// result holds them in clear.
func together(destinations map[string]any, secrets map[string]headlessly.Secret) ([]byte, error) {
	out := map[string]any{}
	for name, v := range destinations {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, &headlessly.FieldError{Code: "validation_failed", Field: "destinations." + name, Message: "must be an object"}
		}
		out[name] = maps.Clone(m)
	}
	for field, secret := range secrets {
		parts := strings.Split(field, ".") // destinations.ga.apiSecret
		if len(parts) != 3 {
			continue
		}
		m, ok := out[parts[1]].(map[string]any)
		if !ok {
			continue
		}
		var value any = secret.Reveal()
		if parts[2] == "headers" { // an object, kept as its JSON
			var headers map[string]string
			if json.Unmarshal([]byte(secret.Reveal()), &headers) != nil {
				return nil, &headlessly.FieldError{Code: "validation_failed", Field: field, Message: "must be an object of header names and values"}
			}
			value = headers
		}
		m[parts[2]] = value
	}
	return json.Marshal(out)
}

// read gives the destinations that an integration has.
func read(destinations any, secrets map[string]headlessly.Secret) (d headlessly.Destinations, err error) {
	m, _ := destinations.(map[string]any)
	raw, err := together(m, secrets)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(raw, &d); err != nil { // what is shown besides is passed over
		return d, fmt.Errorf("destinations: %s", explain(err))
	}
	return d, nil
}

// plainly gives destinations as JSON values, with "[redacted]" for secrets.
func plainly(d headlessly.Destinations) (map[string]any, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	return out, json.Unmarshal(raw, &out)
}

// shown is what may be seen of destinations: their settings, and what tells
// them apart; never a credential.
func shown(l *connectors.Link, d headlessly.Destinations) (map[string]any, error) {
	out, err := plainly(d)
	if err != nil {
		return nil, err
	}
	t, err := l.Graph.Types().Lookup("Integration")
	if err != nil {
		return nil, err
	}
	t.TakeSecrets(map[string]any{"destinations": out})
	for name, v := range Public(d) {
		m, _ := out[name].(map[string]any)
		more, _ := v.(map[string]any)
		if m != nil {
			maps.Copy(m, more)
		}
	}
	return out, nil
}
