package headlessly

// Destination names.
const (
	DestinationGA4     = "ga4"
	DestinationSentry  = "sentry"
	DestinationPostHog = "posthog"
	DestinationHTTP    = "http"
)

// Destinations is where one tenant's events go: the "destinations" argument of
// Integration.connect for provider "analytics". A nil member is not connected.
type Destinations struct {
	GA      *GADestination      `json:"ga,omitempty" yaml:"ga,omitempty"`
	Sentry  *SentryDestination  `json:"sentry,omitempty" yaml:"sentry,omitempty"`
	PostHog *PostHogDestination `json:"posthog,omitempty" yaml:"posthog,omitempty"`
	HTTP    *HTTPDestination    `json:"http,omitempty" yaml:"http,omitempty"`
}

// GADestination is a Google Analytics 4 web stream. With an APISecret the
// Measurement Protocol is spoken, without it /g/collect, the browser's own
// undocumented protocol.
type GADestination struct {
	MeasurementID string `json:"measurementId" yaml:"measurementId"` // G-XXXXXXXX
	APISecret     Secret `json:"apiSecret,omitzero" yaml:"apiSecret,omitempty"`
	// Endpoint replaces https://www.google-analytics.com, for example by the
	// EU's https://region1.google-analytics.com.
	Endpoint string `json:"endpoint,omitempty" yaml:"endpoint,omitempty"`
	// ResendUnknown sends an event again whose answer was lost. Google does not
	// deduplicate, so it may count twice; without, it may be missing.
	ResendUnknown bool `json:"resendUnknown,omitempty" yaml:"resendUnknown,omitempty"`
	// Validate sends events to Google's validation server, which records
	// nothing: the deliveries say what it thinks of each. It needs an APISecret.
	Validate bool   `json:"validate,omitempty" yaml:"validate,omitempty"`
	Rules    *Rules `json:"rules,omitempty" yaml:"rules,omitempty"`
	// PropertyID (a number) and ServiceAccount (the JSON key file of one that
	// may edit the property) let a person's deletion be asked for.
	// AdminEndpoint replaces https://analyticsadmin.googleapis.com.
	PropertyID     string `json:"propertyId,omitempty" yaml:"propertyId,omitempty"`
	ServiceAccount Secret `json:"serviceAccount,omitzero" yaml:"serviceAccount,omitempty"`
	AdminEndpoint  string `json:"adminEndpoint,omitempty" yaml:"adminEndpoint,omitempty"`
	// Integration is the $id of the integration that named it, "" for the
	// configuration file.
	Integration string `json:"-" yaml:"-"`
}

// SentryDestination is a Sentry project.
type SentryDestination struct {
	DSN         Secret `json:"dsn" yaml:"dsn"`
	Rules       *Rules `json:"rules,omitempty" yaml:"rules,omitempty"`
	Integration string `json:"-" yaml:"-"` // as in GADestination
}

// PostHogDestination is a PostHog project.
type PostHogDestination struct {
	APIKey Secret `json:"apiKey" yaml:"apiKey"` // phc_…
	Host   string `json:"host,omitempty" yaml:"host,omitempty"`
	// Capture is "v0" or "v1" for one of PostHog's interfaces, "" to find out:
	// v1 answers for each event, older installations only have v0.
	Capture string `json:"capture,omitempty" yaml:"capture,omitempty"`
	// Profiles says whose events make a person profile: "identified" (the
	// default), "always" or "never".
	Profiles string `json:"profiles,omitempty" yaml:"profiles,omitempty"`
	Rules    *Rules `json:"rules,omitempty" yaml:"rules,omitempty"`
	// ProjectID (a number) and PersonalKey (phx_…, scope person:write) let a
	// person be deleted. AppHost is where PostHog's own API is, by default the
	// host without its ".i".
	ProjectID   string `json:"projectId,omitempty" yaml:"projectId,omitempty"`
	PersonalKey Secret `json:"personalApiKey,omitzero" yaml:"personalApiKey,omitempty"`
	AppHost     string `json:"appHost,omitempty" yaml:"appHost,omitempty"`
	Integration string `json:"-" yaml:"-"` // as in GADestination
}

// Named notes the $id of the integration that names these destinations.
func (d *Destinations) Named(integration string) {
	if d.GA != nil {
		d.GA.Integration = integration
	}
	if d.Sentry != nil {
		d.Sentry.Integration = integration
	}
	if d.PostHog != nil {
		d.PostHog.Integration = integration
	}
	if d.HTTP != nil {
		d.HTTP.Integration = integration
	}
}

// IntegrationOf gives the $id of the integration that named a destination, ""
// for one of the configuration file or one that is not connected.
func (d *Destinations) IntegrationOf(destination string) string {
	switch {
	case destination == DestinationGA4 && d.GA != nil:
		return d.GA.Integration
	case destination == DestinationSentry && d.Sentry != nil:
		return d.Sentry.Integration
	case destination == DestinationPostHog && d.PostHog != nil:
		return d.PostHog.Integration
	case destination == DestinationHTTP && d.HTTP != nil:
		return d.HTTP.Integration
	}
	return ""
}

// DestinationSource tells the router where a tenant's events go. Safe for
// concurrent use; answers come from memory and never block on I/O.
type DestinationSource interface {
	// Destinations gives the tenant's destinations as they are now and a
	// version that changes whenever they do; a tenant without any has version
	// 0.
	Destinations(tenant string) (Destinations, uint64)
}
