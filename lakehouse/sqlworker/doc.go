// Package sqlworker is the process that runs one SQL query over files it is
// handed, so that whatever the query does happens to a process of its own.
//
// The parent (package lakehouse) starts the same binary with a hidden argument
// and an empty environment. A binary that imports this package needs nothing
// else: the process becomes the worker before main (early.go says why) and runs
// [Main]. In this order the worker
//
//   - bounds itself with resource limits,
//   - opens DuckDB in memory with extensions off,
//   - makes a view per table over exactly the files it was given,
//   - allows those paths and its result file, turns every other external access
//     off and locks the configuration,
//   - lets DuckDB's own parser say whether the text is one SELECT,
//   - writes the result as a Parquet file and describes it on standard output.
//
// The parent kills it at its deadline. Built without cgo the package is there
// and answers every query with what to install.
package sqlworker
