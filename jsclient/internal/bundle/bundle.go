// Package bundle builds the script (jsclient/dist) and the npm packages'
// modules (jsclient/packages/*/dist) from the TypeScript sources. It is used by the generator (jsclient/build) and by the test that
// checks that the committed files are what the sources give; the gateway does
// not import it.
//
// esbuild bundles, terser (build/minify.mjs, with Node and npm's packages)
// makes it smaller: 230 bytes of the script's 9,000. The output depends on the
// sources and on the pinned versions of these two only.
package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
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
func Build(ctx context.Context, root, version string) ([]File, error) {
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
	return files, minify(ctx, root, files)
}

// minify replaces each file's content by what terser makes of it.
func minify(ctx context.Context, root string, files []File) error {
	texts := make([]string, len(files))
	for i, f := range files {
		texts[i] = string(f.Data)
	}
	in, err := json.Marshal(texts)
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	cmd := exec.CommandContext(ctx, "node", "build/minify.mjs")
	cmd.Dir = root
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("bundle: minify: %w (are the packages there? run: make deps)\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(out, &texts); err != nil || len(texts) != len(files) {
		return fmt.Errorf("bundle: minify: got %d files, want %d: %w", len(texts), len(files), err)
	}
	for i := range files {
		files[i].Data = []byte(texts[i])
	}
	return nil
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
