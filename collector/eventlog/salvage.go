package eventlog

import (
	"context"
)

// SalvageStats counts what the search of a damaged store found.
type SalvageStats struct {
	Blocks    int    // block files searched
	Damaged   int    // block files found damaged and set aside
	Kept      uint64 // messages kept of damaged blocks
	Lost      uint64 // messages lost for good
	TornBytes int64  // bytes of an unfinished last write, never acknowledged
}

type salvageReport struct {
	SalvageStats
	noted uint64
}

func (l *Log) repairStore(context.Context) error {
	note, clean, err := takeClean(l.cfg.Dir)
	if clean {
		l.salvage.noted = note.Last
	}
	return err
}

// quarantine keeps the bytes of a message that cannot be read.
func (l *Log) quarantine(stored, error) {}
