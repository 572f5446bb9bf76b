package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"
)

// Load reads the file at path over the defaults. An empty path gives the
// defaults. The error joins every fault of the file.
func Load(path string) (Config, error) {
	c := Default()
	if path == "" {
		return c, nil
	}
	raw, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return c, fmt.Errorf("read configuration: %w", err)
	}
	if err := c.decode(raw); err != nil {
		return c, fmt.Errorf("%s:\n%w", path, err)
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("%s:\n%w", path, err)
	}
	return c, nil
}

func (c *Config) decode(raw []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return err
	}
	if doc.Kind == 0 { // an empty file
		return nil
	}
	root := doc.Content[0]
	errs := expand(root)
	errs = append(errs, unknown(root, reflect.TypeFor[Config](), "")...)
	err := root.Decode(c)
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) {
		for _, e := range wrong.Errors {
			errs = append(errs, errors.New(e))
		}
	} else if err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

var reference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`) //nolint:gochecknoglobals // a constant

// expand replaces scalars written ${NAME} by the environment's value.
func expand(n *yaml.Node) []error {
	var errs []error
	if m := reference.FindStringSubmatch(n.Value); n.Kind == yaml.ScalarNode && m != nil {
		v, ok := os.LookupEnv(m[1])
		if !ok {
			return []error{fmt.Errorf("line %d: the environment has no %s", n.Line, m[1])}
		}
		n.Value, n.Tag, n.Style = v, "", 0
		if n.ShortTag() == "!!null" {
			n.Tag = "!!str"
		}
	}
	for _, child := range n.Content {
		errs = append(errs, expand(child)...)
	}
	return errs
}

// unknown finds keys that the type does not have.
func unknown(n *yaml.Node, t reflect.Type, path string) []error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	var errs []error
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		switch t.Kind() {
		case reflect.Map:
			errs = append(errs, unknown(value, t.Elem(), at)...)
		case reflect.Struct:
			fields := keys(t)
			f, ok := fields[key.Value]
			if !ok {
				errs = append(errs, fmt.Errorf("line %d: %s is no setting%s", key.Line, at, suggestion(key.Value, fields)))
				continue
			}
			errs = append(errs, unknown(value, f, at)...)
		}
	}
	return errs
}

// keys gives a struct's settings by their name in the file.
func keys(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" {
			out[name] = f.Type
		}
	}
	return out
}

func suggestion(got string, fields map[string]reflect.Type) string {
	names := make([]string, 0, len(fields))
	for n := range fields {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		if strings.EqualFold(n, got) || levenshtein.ComputeDistance(strings.ToLower(n), strings.ToLower(got)) <= 2 {
			return fmt.Sprintf("; did you mean %s?", n)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; known here are " + strings.Join(names, ", ")
}

// Print writes the effective configuration; secrets show as [redacted].
func (c *Config) Print(w io.Writer) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return err
	}
	return enc.Close()
}
