package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// firstPromotedID is above every id that a column of ours will have.
const firstPromotedID = 10_000

// evolveTries is how often a change of the schema that lost a race is tried.
const evolveTries = 20

// evolve adds to a table the columns it lacks, without touching a file: rows
// that are there read as null. It returns the ids of the wanted columns by name. A
// wanted column with id 0 takes the next free one from [firstPromotedID] on.
func (l *Lake) evolve(ctx context.Context, one *layout, wanted []iceberg.NestedField) (map[string]int, error) {
	for try := 1; ; try++ {
		t, err := l.load(ctx, one.name)
		if err != nil {
			return nil, err
		}
		ids, missing, err := missingColumns(t, wanted)
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", one.name, err)
		}
		if len(missing) == 0 || l.cfg.ReadOnly {
			return ids, nil
		}
		err = l.addColumns(ctx, one, t, missing)
		switch {
		case err == nil:
			l.cfg.Logger.Info("lakehouse_columns_added", "table", one.name, "columns", len(missing))
			return ids, nil
		case try == evolveTries || !lostRace(err):
			return nil, fmt.Errorf("add columns to %s: %w", one.name, err)
		}
		if err := pause(ctx, time.Duration(try)*20*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// lostRace says whether a change was refused because the table had changed.
func lostRace(err error) bool {
	return errors.Is(err, table.ErrCommitFailed) || strings.Contains(strings.ToLower(err.Error()), "requirement failed")
}

// missingColumns compares a table with the wanted columns.
func missingColumns(t *table.Table, wanted []iceberg.NestedField) (ids map[string]int, missing []iceberg.NestedField, err error) {
	have := t.Schema()
	used := map[int]iceberg.NestedField{} // in any schema that the table ever had
	for _, s := range t.Metadata().Schemas() {
		for _, f := range s.Fields() {
			used[f.ID] = f
		}
	}
	next := max(firstPromotedID, t.Metadata().LastColumnID()+1)
	ids = map[string]int{}
	var errs []error
	for _, w := range wanted {
		f, there := have.FindFieldByName(w.Name)
		switch {
		case there && !f.Type.Equals(w.Type):
			errs = append(errs, fmt.Errorf("column %s is a %s there and not a %s; give the new one another name", w.Name, f.Type, w.Type))
		case there && w.ID != 0 && f.ID != w.ID:
			errs = append(errs, fmt.Errorf("column %s has id %d there and not %d: another program made the table", w.Name, f.ID, w.ID))
		case there:
			ids[w.Name] = f.ID
		case w.ID != 0 && used[w.ID].Name != "" && (used[w.ID].Name != w.Name || !used[w.ID].Type.Equals(w.Type)):
			errs = append(errs, fmt.Errorf("column %s wants id %d, which %s has or had", w.Name, w.ID, used[w.ID].Name))
		default:
			if w.ID == 0 {
				w.ID = next
				next++
			}
			w.Required = false // the rows that are there have no value
			ids[w.Name] = w.ID
			missing = append(missing, w)
		}
	}
	return ids, missing, errors.Join(errs...)
}

func (l *Lake) addColumns(ctx context.Context, one *layout, t *table.Table, missing []iceberg.NestedField) error {
	newest := 0
	for _, s := range t.Metadata().Schemas() {
		newest = max(newest, s.ID)
	}
	schema := iceberg.NewSchemaWithIdentifiers(newest+1, t.Schema().IdentifierFieldIDs, slices.Concat(t.Schema().Fields(), missing)...)
	modes := iceberg.Properties{}
	for _, f := range missing {
		if f.ID >= firstPromotedID || slices.Contains(one.bounded, f.Name) {
			modes[table.MetricsModeColumnConfPrefix+"."+f.Name] = boundedMetrics
		}
	}
	updates := []table.Update{table.NewAddSchemaUpdate(schema), table.NewSetCurrentSchemaUpdate(-1)} // -1 is the one just added
	if len(modes) > 0 {
		updates = append(updates, table.NewSetPropertiesUpdate(modes))
	}
	_, _, err := l.cat.CommitTable(ctx, t.Identifier(), []table.Requirement{
		table.AssertTableUUID(t.Metadata().TableUUID()), table.AssertCurrentSchemaID(t.Schema().ID), table.AssertLastAssignedFieldID(t.Metadata().LastColumnID()),
	}, updates)
	return err
}
