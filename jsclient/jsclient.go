package jsclient

import (
	"crypto/sha256"
	"crypto/sha512"
	_ "embed" // the built files
	"encoding/base64"
	"encoding/hex"
	"iter"
	"strings"
)

//go:generate go run ./build

// Version is the version of the script, as it names itself in events.
const Version = "0.1.0"

// Names of the variants.
const (
	Full      = "full"
	Pageviews = "pageviews"
)

//go:embed dist/full.js
var full []byte

//go:embed dist/pageviews.js
var pageviews []byte

//go:embed dist/stub.js
var stub string

// Variant is one build of the script.
type Variant struct {
	Name string
	// JS is the file; it must not be changed.
	JS []byte
	// Hash is the first 16 hex digits of the file's SHA-256.
	Hash string
	// Integrity is the value of a script tag's integrity attribute.
	Integrity string
}

func variant(name string, js []byte) Variant {
	short, long := sha256.Sum256(js), sha512.Sum384(js)
	return Variant{
		Name:      name,
		JS:        js,
		Hash:      hex.EncodeToString(short[:8]),
		Integrity: "sha384-" + base64.StdEncoding.EncodeToString(long[:]),
	}
}

// Variants gives every build, the full one first.
func Variants() []Variant {
	return []Variant{variant(Full, full), variant(Pageviews, pageviews)}
}

// Script gives the build of this name.
func Script(name string) (Variant, bool) {
	for _, v := range Variants() {
		if v.Name == name {
			return v, true
		}
	}
	return Variant{}, false
}

// For gives the smallest build that does what the query of the script's address
// asks for: /v1?auto=pageviews is served the page-view build, and so is
// auto=false, unless an attribute beside it needs the full one. A server sees
// the address only, not the tag, so a tag that wants the small build says so
// there. Either build honours data-cookieless and data-consent of its tag.
func For(query iter.Seq2[[]byte, []byte]) Variant { return Variants()[Pick(query)] }

// Pick is For as an index into Variants.
func Pick(query iter.Seq2[[]byte, []byte]) int {
	small := false
	for name, value := range query {
		switch string(name) {
		case "auto":
			auto := strings.TrimSpace(string(value))
			small = auto == Pageviews || auto == "false"
		case "tenant", "key", "endpoint", "spa", "cookieless":
		default:
			return 0
		}
	}
	if small {
		return 1
	}
	return 0
}

// Stub is the inline snippet that keeps calls made before the script arrives.
func Stub() string { return strings.TrimSpace(stub) }
