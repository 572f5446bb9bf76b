package headlessly

// Rules decide which of a tenant's events go to one destination and what they
// look like there. A nil *Rules sends everything that the destination takes,
// but bots.
type Rules struct {
	// Events are patterns of types ("page") and names ("Order *"); one with a
	// leading "!" excludes. Empty means everything; with exclusions only,
	// everything else.
	Events []string `json:"events,omitempty" yaml:"events,omitempty"`
	// When is an expression that must be true: properties.total > 100.
	When string `json:"when,omitempty" yaml:"when,omitempty"`
	// Consent replaces the consent categories that govern the destination;
	// "none" sends whatever the visitor said but "denied".
	Consent string `json:"consent,omitempty" yaml:"consent,omitempty"`
	// Bots sends events of bots too.
	Bots bool `json:"bots,omitempty" yaml:"bots,omitempty"`
	// Sample is the share of visitors whose events go, in (0, 1]; nil for all.
	Sample *float64 `json:"sample,omitempty" yaml:"sample,omitempty"`
	// PerSecond bounds the events a second.
	PerSecond float64 `json:"perSecond,omitempty" yaml:"perSecond,omitempty"`
	// Rename gives events other names.
	Rename map[string]string `json:"rename,omitempty" yaml:"rename,omitempty"`
	// Properties changes properties; patterns may end in "*".
	Properties *PropertyRules `json:"properties,omitempty" yaml:"properties,omitempty"`
}

// PropertyRules change an event's top-level properties, in this order: keep,
// drop, mask, rename, add. Drop and mask go for its traits as well.
type PropertyRules struct {
	// Keep drops all but these; Drop drops these.
	Keep []string `json:"keep,omitempty" yaml:"keep,omitempty"`
	Drop []string `json:"drop,omitempty" yaml:"drop,omitempty"`
	// Mask replaces values by "[masked]".
	Mask   []string          `json:"mask,omitempty" yaml:"mask,omitempty"`
	Rename map[string]string `json:"rename,omitempty" yaml:"rename,omitempty"`
	// Add sets properties to the values of expressions: "'eu'", "event".
	Add map[string]string `json:"add,omitempty" yaml:"add,omitempty"`
}

// HTTPDestination sends events to any HTTP endpoint.
type HTTPDestination struct {
	// URL may hold placeholders: https://host/{{tenant}}?user={{userId}}. It is
	// a secret because it often carries a token.
	URL     Secret            `json:"url" yaml:"url"`
	Headers map[string]Secret `json:"headers,omitempty" yaml:"headers,omitempty"`
	// Body is a JSON text with placeholders: {"user":{{userId}},"all":{{event}}}.
	// Empty sends the event as it is in the native format.
	Body string `json:"body,omitempty" yaml:"body,omitempty"`
	// Batch is how many events one request holds, as a JSON array; 0 or 1 for
	// one event a request. A Body or a placeholder in the URL needs 1.
	Batch int `json:"batch,omitempty" yaml:"batch,omitempty"`
	// Secret signs requests as Standard Webhooks describes it (whsec_…).
	Secret      Secret `json:"secret,omitzero" yaml:"secret,omitempty"`
	Rules       *Rules `json:"rules,omitempty" yaml:"rules,omitempty"`
	Integration string `json:"-" yaml:"-"` // as in GADestination
}
