package headlessly

import "embed"

// Docs are the product's documents, for those who read them through the
// product itself.
//
//go:embed README.md ARCHITECTURE.md GUARANTEES.md SECURITY.md
var Docs embed.FS
