package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Resource addresses.
const (
	docPrefix    = "headlessly://docs/"
	schemaPrefix = "headlessly://schema/"

	schemaTemplate = schemaPrefix + "{type}"
)

// document is a Markdown file that agents may read.
type document struct {
	uri, name, title string
	text             []byte
}

// documents reads the Markdown files at the root of a file system.
func documents(files fs.FS) ([]document, error) {
	if files == nil {
		return nil, nil
	}
	names, err := fs.Glob(files, "*.md")
	if err != nil {
		return nil, err
	}
	var out []document
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read document: %w", err)
		}
		slug := strings.ToLower(strings.TrimSuffix(path.Base(name), ".md"))
		title, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
		out = append(out, document{uri: docPrefix + slug, name: slug, title: strings.TrimSpace(strings.TrimLeft(string(title), "# ")), text: text})
	}
	return out, nil
}

// resources offers the documents and the types' schemas.
func (s *Server) resources(srv *sdk.Server, a *agent) {
	for _, d := range s.docs {
		srv.AddResource(&sdk.Resource{URI: d.uri, Name: d.name, Title: d.title, MIMEType: "text/markdown", Size: int64(len(d.text))},
			func(context.Context, *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
				return contents(d.uri, "text/markdown", string(d.text)), nil
			})
	}
	srv.AddResourceTemplate(&sdk.ResourceTemplate{URITemplate: schemaTemplate, Name: "schema", Title: "An entity type's fields and verbs", MIMEType: "application/json"},
		func(_ context.Context, r *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
			v, err := a.schema(strings.TrimPrefix(r.Params.URI, schemaPrefix))
			if err != nil {
				return nil, sdk.ResourceNotFoundError(r.Params.URI)
			}
			raw, err := json.MarshalIndent(v, "", "  ")
			if err != nil {
				return nil, err
			}
			return contents(r.Params.URI, "application/json", string(raw)), nil
		})
}

func contents(uri, kind, text string) *sdk.ReadResourceResult {
	return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: uri, MIMEType: kind, Text: text}}}
}
