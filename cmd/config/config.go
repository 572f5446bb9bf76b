package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/analytics"
	"github.com/headlessly/headlessly/lakehouse"
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
	// Flight is the address of the Arrow Flight SQL server, for ADBC and JDBC
	// tools; "" is none.
	Flight string `yaml:"flight"`
	// PublicURL is how browsers reach Listen, when that differs (behind a
	// proxy, on a domain). It is printed in the script tag.
	PublicURL string `yaml:"publicUrl"`
	// PathPrefix is a further prefix under which every public path is served,
	// because ad-blockers match paths.
	PathPrefix string `yaml:"pathPrefix"`
	// Tenancy is "declared" (only tenants of this file and of the data folder)
	// or "open" (any well-formed tenant name may append events).
	Tenancy string `yaml:"tenancy"`
	// Geo names databases in MaxMind's format, best first, from which country,
	// region, city and network are read.
	Geo []string `yaml:"geo"`
	// Types names files of entity types of your own, beside the built-in ones.
	// Their form is that of connectors/graph/types.yaml.
	Types []string `yaml:"types"`
	// TrustedProxies are networks (10.0.0.0/8) whose X-Forwarded-For, or PROXY
	// protocol header, names the client.
	TrustedProxies []string `yaml:"trustedProxies"`
	// ProxyProtocol takes the PROXY protocol (v1, v2) from trusted proxies.
	ProxyProtocol bool `yaml:"proxyProtocol"`
	// TenantMetrics counts events by tenant, not only by class.
	TenantMetrics bool `yaml:"tenantMetrics"`
	// Roles are the parts that this gateway runs, where several share one log
	// (log.nats): collect, forward, lake, control. None named is all of them.
	Roles []string `yaml:"roles"`
	// RequestsPerMinute is how many requests one key may make of the control
	// plane within a minute; answers carry X-RateLimit-Limit, -Remaining and
	// -Reset, and what goes beyond it is answered 429 with Retry-After.
	RequestsPerMinute int `yaml:"requestsPerMinute"`

	TLS       TLS               `yaml:"tls"`
	Log       Log               `yaml:"log"`
	Lakehouse Lakehouse         `yaml:"lakehouse"`
	Egress    Egress            `yaml:"egress"`
	Sandbox   Sandbox           `yaml:"sandbox"`
	Telemetry Telemetry         `yaml:"telemetry"`
	Tenants   map[string]Tenant `yaml:"tenants"`
}

// TLS ends HTTPS on the public listener: by files, or by ACME for domains.
// Flight gives the Arrow Flight SQL server the same certificate.
type TLS struct {
	Cert    string   `yaml:"cert"`
	Key     string   `yaml:"key"`
	Domains []string `yaml:"domains"`
	Email   string   `yaml:"email"`
	Flight  bool     `yaml:"flight"`
}

// Log bounds the event log.
type Log struct {
	// NATS is an external JetStream cluster (nats://a:4222,nats://b:4222)
	// instead of the embedded one; Replicas is its copies of each stream.
	NATS     string `yaml:"nats"`
	Replicas int    `yaml:"replicas"`
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
	// Catalog is an Iceberg REST catalog (Cloudflare R2 Data Catalog, Lakekeeper,
	// Polaris, Nessie) instead of the SQLite file; S3 is how its warehouse is
	// reached where the catalog hands out no credentials.
	Catalog Catalog `yaml:"catalog"`
	S3      S3      `yaml:"s3"`
	// Promote makes columns of the events table out of properties.
	Promote []Promotion `yaml:"promote"`
	// Retention is how long rows are kept; without, for ever.
	Retention []Retention `yaml:"retention"`
}

// tables is what the lakehouse itself has to judge.
func (l Lakehouse) tables() lakehouse.Config {
	c := lakehouse.Config{Dir: "-", Catalog: lakehouse.CatalogConfig(l.Catalog), S3: lakehouse.S3Config(l.S3)}
	for _, p := range l.Promote {
		c.Promote = append(c.Promote, lakehouse.Promotion(p))
	}
	for _, r := range l.Retention {
		c.Maintenance.Retention = append(c.Maintenance.Retention, lakehouse.Retention(r))
	}
	return c
}

// Promotion is a property that becomes a column.
type Promotion struct {
	Property string `yaml:"property"`
	From     string `yaml:"from"`   // properties (the default), traits or context
	Column   string `yaml:"column"` // default: the property in snake case
	Type     string `yaml:"type"`   // string, long, double, boolean or timestamp
}

// Retention keeps a table's rows for some days.
type Retention struct {
	Table  string `yaml:"table"`
	Tenant string `yaml:"tenant"` // "" for every tenant without a rule of its own
	Days   int    `yaml:"days"`
}

// Catalog is an Iceberg REST catalog.
type Catalog struct {
	URI        string            `yaml:"uri"`
	Warehouse  string            `yaml:"warehouse"`
	Prefix     string            `yaml:"prefix"`
	Token      headlessly.Secret `yaml:"token"`
	Credential headlessly.Secret `yaml:"credential"` // "id:secret" for OAuth 2
	AuthURI    string            `yaml:"authUri"`
	Scope      string            `yaml:"scope"`
	SigV4      string            `yaml:"sigV4"` // "glue" or "s3tables": AWS's signature
}

// S3 is an object store.
type S3 struct {
	Endpoint        string            `yaml:"endpoint"` // for stores other than AWS
	Region          string            `yaml:"region"`
	AccessKeyID     string            `yaml:"accessKeyId"`
	SecretAccessKey headlessly.Secret `yaml:"secretAccessKey"`
	SessionToken    headlessly.Secret `yaml:"sessionToken"`
}

// Telemetry sends traces and metrics to an OpenTelemetry collector over
// OTLP/HTTP. It is off without an endpoint.
type Telemetry struct {
	// Endpoint is the collector's base address (http://127.0.0.1:4318); its
	// /v1/traces and /v1/metrics are used.
	Endpoint string `yaml:"endpoint"`
	// Headers are sent with each export, for a collector that wants a token.
	Headers map[string]headlessly.Secret `yaml:"headers"`
	// Service is the service.name that the data goes by.
	Service string `yaml:"service"`
	// Sample is the share of requests that are traced, 0 to 1. A client's
	// traceparent header joins its trace, and does not change the share:
	// anybody may send one.
	Sample float64 `yaml:"sample"`
	// MetricsInterval is the time between exports of the metrics; 0 exports
	// none.
	MetricsInterval time.Duration `yaml:"metricsInterval"`
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
	IgnoreGPC    bool                    `yaml:"ignoreGpc"`
	Class        string                  `yaml:"class"`
	Redact       Redact                  `yaml:"redact"`
	Limits       Limits                  `yaml:"limits"`
	Destinations headlessly.Destinations `yaml:"destinations"`
}

// Redact names what is taken out of a tenant's events before they are stored.
type Redact struct {
	Query      []string `yaml:"query"`
	Properties []string `yaml:"properties"`
	Patterns   []string `yaml:"patterns"`
}

// Limits bound what a tenant may send; 0 is no bound.
type Limits struct {
	EventsPerSecond float64 `yaml:"eventsPerSecond"`
	Burst           int     `yaml:"burst"`
	EventsPerDay    int64   `yaml:"eventsPerDay"`
}

// Proxies gives the trusted proxies' networks.
func (c *Config) Proxies() []netip.Prefix {
	out := make([]netip.Prefix, 0, len(c.TrustedProxies))
	for _, s := range c.TrustedProxies {
		if p, err := parseNetwork(s); err == nil { // Validate told the others
			out = append(out, p)
		}
	}
	return out
}

// parseNetwork reads a network or a single address.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
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

		RequestsPerMinute: 12_000,

		Log: Log{MaxSize: 64 << 30, Reserve: 1 << 30},
		Lakehouse: Lakehouse{
			CommitInterval: 10 * time.Second,
			CommitSize:     32 << 20, // bounds memory: one batch fills while another is written
		},
		Telemetry: Telemetry{Service: "headlessly", Sample: 0.01, MetricsInterval: time.Minute},
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
	for path, addr := range map[string]string{"listen": c.Listen, "control": c.Control, "flight": c.Flight} {
		if path == "flight" && addr == "" {
			continue
		}
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
	if c.RequestsPerMinute < 1 {
		fault("requestsPerMinute", "%d must be 1 or more", c.RequestsPerMinute)
	}
	c.roleFaults(fault)
	c.Sandbox.faults(fault)
	for i, n := range c.TrustedProxies {
		if _, err := parseNetwork(n); err != nil {
			fault(fmt.Sprintf("trustedProxies[%d]", i), "%q must look like 10.0.0.0/8 or 192.0.2.7", n)
		}
	}
	if c.ProxyProtocol && len(c.TrustedProxies) == 0 {
		fault("proxyProtocol", "needs trustedProxies: anyone else could claim any address")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		fault("tls", "cert and key go together")
	}
	if c.TLS.Cert != "" && len(c.TLS.Domains) > 0 {
		fault("tls", "takes cert and key, or domains, not both")
	}
	if c.TLS.Flight && (c.Flight == "" || c.TLS.Cert == "" && len(c.TLS.Domains) == 0) {
		fault("tls.flight", "needs flight: an address, and a certificate: cert and key, or domains")
	}
	if c.Log.Replicas != 0 && c.Log.NATS == "" {
		fault("log.replicas", "needs log.nats: the embedded log has one copy")
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
	if t := c.Telemetry; t.Endpoint != "" {
		if u, err := url.Parse(t.Endpoint); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" {
			fault("telemetry.endpoint", "%q must look like http://127.0.0.1:4318", t.Endpoint)
		}
	}
	if s := c.Telemetry.Sample; s < 0 || s > 1 {
		fault("telemetry.sample", "%g must be from 0 to 1", s)
	}
	if i := c.Telemetry.MetricsInterval; i < 0 || i > 0 && i < time.Second {
		fault("telemetry.metricsInterval", "%s is too short, 1s at least, or 0 for none", i)
	}
	if c.Lakehouse.CommitSize < 1<<20 {
		fault("lakehouse.commitSize", "%s is too small, 1MB at least", c.Lakehouse.CommitSize)
	}
	for _, err := range each(c.Lakehouse.tables().Validate()) {
		path, message, _ := strings.Cut(err.Error(), ": ")
		fault(strings.Replace(path, ".maintenance", "", 1), "%s", message)
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
		for i, re := range t.Redact.Patterns {
			if _, err := regexp.Compile(re); err != nil {
				fault(fmt.Sprintf("%s.redact.patterns[%d]", path, i), "%s", err)
			}
		}
		if t.Limits.EventsPerSecond < 0 || t.Limits.Burst < 0 || t.Limits.EventsPerDay < 0 {
			fault(path+".limits", "must not be negative")
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
