package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/analytics"
)

// Config is the whole configuration. The comments are what an operator reads
// in `headlessly config print`'s documentation.
type Config struct {
	// Data is the folder of everything the gateway keeps.
	Data string `yaml:"data"`
	// Listen is the public address: script and ingest.
	Listen string `yaml:"listen"`
	// Control is the address of the control plane: REST and SQL.
	Control string `yaml:"control"`
	// PublicURL is how browsers reach Listen, when that differs (behind a
	// proxy, on a domain). It is printed in the script tag.
	PublicURL string `yaml:"publicUrl"`
	// PathPrefix is a further prefix under which every public path is served,
	// because ad-blockers match paths.
	PathPrefix string `yaml:"pathPrefix"`
	// Tenancy is "declared" (only tenants of this file and of the data folder)
	// or "open" (any well-formed tenant name may append events).
	Tenancy string `yaml:"tenancy"`

	Log       Log               `yaml:"log"`
	Lakehouse Lakehouse         `yaml:"lakehouse"`
	Egress    Egress            `yaml:"egress"`
	Tenants   map[string]Tenant `yaml:"tenants"`
}

// Log bounds the event log.
type Log struct {
	// MaxSize is how much disk the log may use before it refuses events.
	MaxSize Size `yaml:"maxSize"`
	// MaxAge is how long delivered and stored events stay for a replay; 0 is
	// as long as MaxSize allows.
	MaxAge time.Duration `yaml:"maxAge"`
	// Reserve is disk space that is left free for cursors and parked events.
	Reserve Size `yaml:"reserve"`
}

// Lakehouse bounds a commit: whichever comes first.
type Lakehouse struct {
	CommitInterval time.Duration `yaml:"commitInterval"`
	CommitSize     Size          `yaml:"commitSize"`
}

// Egress rules what the gateway may connect to.
type Egress struct {
	// AllowPrivate lets destinations be on loopback, private and link-local
	// addresses and be spoken to without TLS.
	AllowPrivate bool `yaml:"allowPrivate"`
}

// Tenant is one tenant's settings.
type Tenant struct {
	RequireKey   bool                    `yaml:"requireKey"`
	Origins      []string                `yaml:"origins"`
	KeepIP       bool                    `yaml:"keepIp"`
	Destinations headlessly.Destinations `yaml:"destinations"`
}

// Tenancies.
const (
	TenancyDeclared = "declared"
	TenancyOpen     = "open"
)

// Default is the configuration of `headlessly serve` without a file.
func Default() Config {
	return Config{
		Data:    "./headlessly-data",
		Listen:  ":8080",
		Control: "127.0.0.1:8081",
		Tenancy: TenancyDeclared,
		Log:     Log{MaxSize: 64 << 30, Reserve: 1 << 30},
		Lakehouse: Lakehouse{
			CommitInterval: 10 * time.Second,
			CommitSize:     32 << 20, // bounds memory: one batch fills while another is written
		},
	}
}

// Validate reports every fault, each with its path in the file.
func (c *Config) Validate() error {
	var errs []error
	fault := func(path, format string, args ...any) {
		errs = append(errs, &headlessly.FieldError{Code: "invalid_config", Field: path, Message: fmt.Sprintf(format, args...)})
	}
	if c.Data == "" {
		fault("data", "is missing: name a folder")
	}
	for path, addr := range map[string]string{"listen": c.Listen, "control": c.Control} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			fault(path, "%q must look like :8080 or 127.0.0.1:8080", addr)
		}
	}
	if c.PublicURL != "" {
		if u, err := url.Parse(c.PublicURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			fault("publicUrl", "%q must look like https://events.example.com", c.PublicURL)
		}
	}
	if p := c.PathPrefix; p != "" && (!strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/")) {
		fault("pathPrefix", "%q must start with a slash and not end in one", p)
	}
	if c.Tenancy != TenancyDeclared && c.Tenancy != TenancyOpen {
		fault("tenancy", "%q must be declared or open", c.Tenancy)
	}
	if c.Log.MaxSize < 64<<20 {
		fault("log.maxSize", "%s is too small, 64MB at least", c.Log.MaxSize)
	}
	if c.Log.MaxAge < 0 {
		fault("log.maxAge", "%s is negative", c.Log.MaxAge)
	}
	if c.Log.Reserve < 0 {
		fault("log.reserve", "%s is negative", c.Log.Reserve)
	}
	if c.Lakehouse.CommitInterval < 100*time.Millisecond {
		fault("lakehouse.commitInterval", "%s is too short, 100ms at least", c.Lakehouse.CommitInterval)
	}
	if c.Lakehouse.CommitSize < 1<<20 {
		fault("lakehouse.commitSize", "%s is too small, 1MB at least", c.Lakehouse.CommitSize)
	}
	for name, t := range c.Tenants {
		path := "tenants." + name
		if !headlessly.ValidTenant(name) {
			fault(path, "must be lower-case letters, digits and hyphens, start with a letter and have at most %d characters", headlessly.MaxTenantBytes)
		}
		for i, o := range t.Origins {
			if u, err := url.Parse(o); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" {
				fault(fmt.Sprintf("%s.origins[%d]", path, i), "%q must look like https://shop.example", o)
			}
		}
		if t.Destinations != (headlessly.Destinations{}) {
			for _, err := range each(analytics.Validate(t.Destinations)) {
				var f *headlessly.FieldError
				if errors.As(err, &f) {
					fault(path+"."+f.Field, "%s", f.Message)
				}
			}
		}
	}
	return errors.Join(errs...)
}

// each takes a joined error apart.
func each(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the joined error itself is wanted
		return many.Unwrap()
	}
	return []error{err}
}
