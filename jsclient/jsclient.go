package jsclient

import (
	"crypto/sha256"
	"crypto/sha512"
	_ "embed" // the built files
	"encoding/base64"
	"encoding/hex"
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

// For gives the smallest build that captures what auto, the value of data-auto
// or of the script address's auto parameter, asks for.
func For(auto string) Variant {
	switch strings.TrimSpace(auto) {
	case "pageviews", "false":
		return variant(Pageviews, pageviews)
	}
	return variant(Full, full)
}

// Stub is the inline snippet that keeps calls made before the script arrives.
func Stub() string { return strings.TrimSpace(stub) }
