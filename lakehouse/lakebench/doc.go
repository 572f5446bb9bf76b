//go:build cgo

// Command lakebench measures the lakehouse against its yardsticks on the same
// rows in the same run:
//
//   - rows/s and processor time from log frame to committed Iceberg table,
//     beside plain pqarrow and DuckDB's COPY, for one tenant and for fifty, and
//     the writer's peak of memory;
//   - bytes a row beside gzip JSON of the same events;
//   - the time of a few queries through the lake's SQL (planning, a confined
//     worker process, the result file) beside DuckDB in the same process over
//     the same files.
//
// It is the greater part of `go run ./bench -run lake`, and may be run alone:
//
//	go run ./lakehouse/lakebench -rows 500000 -rounds 3
//	go run ./lakehouse/lakebench -columns    # each column by encoding and codec
//
// Each measured writer is a process of its own, so that its memory and its
// processor time are its own.
package main
