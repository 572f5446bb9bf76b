package headlessly

import "strings"

// Tenant names are lower-case letters, digits and hyphens, start with a letter
// and hold at most [MaxTenantBytes] bytes, so that they are safe in URLs,
// paths, subjects and partition values.

// ValidTenant says whether name is a well-formed tenant name.
func ValidTenant(name string) bool {
	if name == "" || len(name) > MaxTenantBytes || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// KeyKind says what a key may do.
type KeyKind string

// Key kinds and the prefixes they carry.
const (
	KeyPublic KeyKind = "public" // append events, nothing else
	KeySecret KeyKind = "secret" // everything of its tenant
	KeyAdmin  KeyKind = "admin"  // every tenant
)

// Key prefixes.
const (
	PrefixPublic = "hly_pk_"
	PrefixSecret = "hly_sk_"
	PrefixAdmin  = "hly_admin_"
)

// KindOfKey tells a key's kind from its prefix, "" when it has none.
func KindOfKey(key string) KeyKind {
	switch {
	case strings.HasPrefix(key, PrefixPublic):
		return KeyPublic
	case strings.HasPrefix(key, PrefixSecret):
		return KeySecret
	case strings.HasPrefix(key, PrefixAdmin):
		return KeyAdmin
	}
	return ""
}

// Key is an authenticated key: what it is and whose, never its value.
type Key struct {
	ID     string // "apikey_…"
	Kind   KeyKind
	Tenant string // "" for an admin key
	// Scopes narrow what the key may do on the control plane; none narrow
	// nothing.
	Scopes []string
}
