package imports

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Formats of a file.
const (
	FormatNDJSON  = "ndjson"
	FormatCSV     = "csv"
	FormatTSV     = "tsv"
	FormatParquet = "parquet"
)

// Programs whose exports are understood.
const (
	FromNative      = "native"
	FromSegment     = "segment"
	FromRudderStack = "rudderstack"
	FromSnowplow    = "snowplow"
	FromPostHog     = "posthog"
)

// Options say how a file is read.
type Options struct {
	From   string // one of the From constants; "" is native
	Format string // one of the Format constants; "" tells it by the file's name
	// Map gives columns a field: "column=field", where a field is one of an
	// event (userId, timestamp, …), properties.x, traits.x, context.x, or "-"
	// to leave the column out.
	Map []string
	// Set gives every event a value: "field=value".
	Set []string
	// LineIDs makes the id of an event without one of the file's name and its
	// line, instead of its content.
	LineIDs bool
	// Forward lets the events go to the destinations too.
	Forward bool
}

// Validate reports every fault.
func (o Options) Validate() error {
	var errs []error
	if o.From != "" && !slices.Contains(programs(), o.From) {
		errs = append(errs, fmt.Errorf("--from %s: known are %s", o.From, strings.Join(programs(), ", ")))
	}
	if o.Format != "" && !slices.Contains(formats(), o.Format) {
		errs = append(errs, fmt.Errorf("--format %s: known are %s", o.Format, strings.Join(formats(), ", ")))
	}
	if len(o.Map) > 0 && o.From != "" && o.From != FromNative {
		errs = append(errs, fmt.Errorf("--map is for columns of your own; the fields of %s are known", o.From))
	}
	for _, m := range o.Map {
		column, field, ok := strings.Cut(m, "=")
		if !ok || column == "" {
			errs = append(errs, fmt.Errorf("--map %s: must look like column=field", m))
			continue
		}
		if err := checkField(field); err != nil && field != leaveOut {
			errs = append(errs, fmt.Errorf("--map %s: %w", m, err))
		}
	}
	for _, m := range o.Set {
		field, _, ok := strings.Cut(m, "=")
		if !ok {
			errs = append(errs, fmt.Errorf("--set %s: must look like field=value", m))
			continue
		}
		if err := checkField(field); err != nil {
			errs = append(errs, fmt.Errorf("--set %s: %w", m, err))
		}
	}
	return errors.Join(errs...)
}

func programs() []string {
	return []string{FromNative, FromSegment, FromRudderStack, FromSnowplow, FromPostHog}
}

func formats() []string { return []string{FormatNDJSON, FormatCSV, FormatTSV, FormatParquet} }

// formatOf is the format that a file's name and origin tell.
func (o Options) formatOf(name string) (string, error) {
	if o.Format != "" {
		return o.Format, nil
	}
	name = strings.ToLower(name)
	for _, packed := range []string{".gz", ".zst", ".zstd"} {
		name = strings.TrimSuffix(name, packed)
	}
	switch filepath.Ext(name) {
	case ".ndjson", ".jsonl", ".json":
		return FormatNDJSON, nil
	case ".csv":
		return FormatCSV, nil
	case ".tsv":
		return FormatTSV, nil
	case ".parquet":
		return FormatParquet, nil
	}
	switch o.From {
	case FromSnowplow:
		return FormatTSV, nil
	case FromSegment, FromRudderStack, FromPostHog:
		return FormatNDJSON, nil
	}
	return "", fmt.Errorf("the name %s does not tell what is in it; use --format %s", name, strings.Join(formats(), "|"))
}
