package collector

import "github.com/headlessly/headlessly"

// typeOf maps a client's type name, or an event name that is a type in
// disguise, onto ours; ok is false for a name without a meaning.
func typeOf(name string) (string, bool) {
	switch name {
	case "track", "page", "screen", "identify", "group", "alias", "error", "message", "vital", "click", "form", "pageleave", "session":
		return name, true
	case "$pageview", "pageview", "page_view":
		return headlessly.TypePage, true
	case "$pageleave":
		return headlessly.TypePageLeft, true
	case "$screen":
		return headlessly.TypeScreen, true
	case "$identify":
		return headlessly.TypeIdentify, true
	case "$groupidentify":
		return headlessly.TypeGroup, true
	case "$create_alias":
		return headlessly.TypeAlias, true
	case "$web_vitals", "web_vitals", "vitals":
		return headlessly.TypeVital, true
	case "$error", "exception", "$exception":
		return headlessly.TypeError, true
	case "$autocapture":
		return headlessly.TypeClick, true
	}
	return "", false
}
