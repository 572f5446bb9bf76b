package connectors

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Registry is the connectors of a program, one for each provider.
type Registry []Connector

// Find gives the provider's connector, nil when there is none.
func (r Registry) Find(provider string) Connector {
	for _, c := range r {
		if c.Kind().Provider == provider {
			return c
		}
	}
	return nil
}

// Providers lists the providers' names.
func (r Registry) Providers() []string {
	var out []string
	for _, c := range r {
		out = append(out, c.Kind().Provider)
	}
	slices.Sort(out)
	return out
}

// Validate reports connectors that are declared twice or promise what they do
// not implement.
func (r Registry) Validate() error {
	var errs []error
	seen := map[string]bool{}
	for _, c := range r {
		k := c.Kind()
		if k.Provider == "" || strings.ToLower(k.Provider) != k.Provider || seen[k.Provider] {
			errs = append(errs, fmt.Errorf("connector %q: a provider is named once, in lower case", k.Provider))
		}
		seen[k.Provider] = true
		if _, ok := c.(Pusher); len(k.Verbs) > 0 != ok {
			errs = append(errs, fmt.Errorf("connector %s: verbs and Push go together", k.Provider))
		}
		if _, ok := c.(Syncer); k.SyncEvery > 0 && !ok {
			errs = append(errs, fmt.Errorf("connector %s: it is to sync periodically, but has no Sync", k.Provider))
		}
	}
	return errors.Join(errs...)
}
