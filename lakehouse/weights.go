package lakehouse

import "sync"

// weights are how many bytes the rows of files take in memory, by table and
// path, as far as a compaction has seen them: the tables tell only how large the
// files are, compressed. Without it every round would read again what is too
// much to be merged.
type weights struct {
	mu    sync.Mutex
	bytes map[string]map[string]int64
}

// note keeps what was seen of a file's rows.
func (w *weights) note(table, path string, bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bytes == nil {
		w.bytes = map[string]map[string]int64{}
	}
	if w.bytes[table] == nil {
		w.bytes[table] = map[string]int64{}
	}
	w.bytes[table][path] = max(w.bytes[table][path], bytes)
}

// of gives what is known of those of a table's files that it still has, and
// forgets the others.
func (w *weights) of(table string, files map[string]bool) map[string]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := map[string]int64{}
	for path, n := range w.bytes[table] {
		if files[path] {
			known[path] = n
		} else {
			delete(w.bytes[table], path)
		}
	}
	return known
}
