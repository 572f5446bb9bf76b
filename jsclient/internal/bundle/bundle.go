// Package bundle builds the script (jsclient/dist) and the npm packages'
// modules (jsclient/packages/*/dist) from the TypeScript sources. It is used by the generator (jsclient/build) and by the test that
// checks that the committed files are what the sources give; the gateway does
// not import it.
//
// The output depends on the sources and on the pinned esbuild only.
package bundle

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// File is one built file.
type File struct {
	Name string // relative to the jsclient folder
	Data []byte
}

// target is one entry point and what becomes of it.
type target struct {
	entry    string // relative to src
	name     string // relative to the jsclient folder
	format   api.Format
	platform api.Platform
	// lite builds with lite.ts in the place of emit.ts and all behind it.
	lite bool
}

var targets = []target{ //nolint:gochecknoglobals // a constant table
	{entry: "browser.ts", name: "dist/full.js", format: api.FormatIIFE, platform: api.PlatformBrowser},
	{entry: "pageview.ts", name: "dist/pageviews.js", format: api.FormatIIFE, platform: api.PlatformBrowser, lite: true},
	{entry: "stub.ts", name: "dist/stub.js", format: api.FormatIIFE, platform: api.PlatformBrowser},
	{entry: "index.ts", name: "packages/js/dist/index.js", format: api.FormatESModule, platform: api.PlatformBrowser},
	{entry: "node.ts", name: "packages/node/dist/index.js", format: api.FormatESModule, platform: api.PlatformNode},
}

// Build builds every file from the sources in root (the jsclient folder).
func Build(root, version string) ([]File, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	files := make([]File, 0, len(targets))
	for _, t := range targets {
		data, err := t.build(root, version)
		if err != nil {
			return nil, fmt.Errorf("bundle %s: %w", t.entry, err)
		}
		files = append(files, File{Name: t.name, Data: data})
	}
	return files, nil
}

func (t target) build(root, version string) ([]byte, error) {
	var plugins []api.Plugin
	if t.lite {
		plugins = []api.Plugin{lite(filepath.Join(root, "src", "lite.ts"))}
	}
	result := api.Build(api.BuildOptions{
		AbsWorkingDir:     root,
		EntryPoints:       []string{"src/" + t.entry},
		Bundle:            true,
		Format:            t.format,
		Platform:          t.platform,
		Target:            api.ES2021,
		Charset:           api.CharsetUTF8,
		MinifySyntax:      true,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MangleProps:       "^_[a-z]",
		Define:            map[string]string{"VERSION": `"` + version + `"`, "LITE": strconv.FormatBool(t.lite)},
		LegalComments:     api.LegalCommentsNone,
		TsconfigRaw:       `{"compilerOptions":{"target":"ES2022","useDefineForClassFields":true}}`,
		LogLevel:          api.LogLevelSilent,
		Plugins:           plugins,
	})
	if len(result.Errors) > 0 {
		lines := api.FormatMessages(result.Errors, api.FormatMessagesOptions{Kind: api.ErrorMessage})
		return nil, errors.New(strings.Join(lines, ""))
	}
	if len(result.OutputFiles) != 1 {
		return nil, fmt.Errorf("got %d files, want 1", len(result.OutputFiles))
	}
	return result.OutputFiles[0].Contents, nil
}

// lite resolves imports of emit.ts to the file at path.
func lite(path string) api.Plugin {
	return api.Plugin{Name: "lite", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: `^\./emit$`}, func(api.OnResolveArgs) (api.OnResolveResult, error) {
			return api.OnResolveResult{Path: path}, nil
		})
	}}
}
