// Package openapi writes the control plane's OpenAPI 3.1 document from the
// entity types: what a type declares is what its routes take and answer.
//
// [Document] gives the document as JSON. Its server is the address that it was
// read from, with the tenant as a variable.
package openapi
