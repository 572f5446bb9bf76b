//go:build cgo

package main

import (
	"errors"
	"fmt"
	"strings"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// duckThreads is as many as the lake's SQL gives a query by default.
const duckThreads = 2

// duck is DuckDB by itself, in this process, with nothing around it.
type duck struct {
	db   duckdb.Database
	conn duckdb.Connection
}

func openDuck() (*duck, error) {
	var config duckdb.Config
	if duckdb.CreateConfig(&config) != duckdb.StateSuccess {
		return nil, errors.New("make DuckDB's configuration")
	}
	defer duckdb.DestroyConfig(&config)
	if duckdb.SetConfig(config, "threads", fmt.Sprint(duckThreads)) != duckdb.StateSuccess {
		return nil, errors.New("set DuckDB's threads")
	}
	d := &duck{}
	var msg string
	if duckdb.OpenExt(":memory:", &d.db, config, &msg) != duckdb.StateSuccess {
		return nil, fmt.Errorf("open DuckDB: %s", msg)
	}
	if duckdb.Connect(d.db, &d.conn) != duckdb.StateSuccess {
		duckdb.Close(&d.db)
		return nil, errors.New("connect to DuckDB")
	}
	return d, d.exec("SET TimeZone = 'UTC'")
}

func (d *duck) close() {
	duckdb.Disconnect(&d.conn)
	duckdb.Close(&d.db)
}

// exec runs a statement to its end.
func (d *duck) exec(query string) error {
	_, err := d.count(query)
	return err
}

// count runs a statement to its end and counts its rows.
func (d *duck) count(query string) (n int64, err error) {
	var res duckdb.Result
	defer duckdb.DestroyResult(&res)
	if duckdb.Query(d.conn, query, &res) != duckdb.StateSuccess {
		return 0, fmt.Errorf("DuckDB: %s", duckdb.ResultError(&res))
	}
	for {
		chunk := duckdb.FetchChunk(res)
		if chunk.Ptr == nil {
			return n, nil
		}
		n += int64(duckdb.DataChunkGetSize(chunk))
		duckdb.DestroyDataChunk(&chunk)
	}
}

// list is a list of paths in SQL.
func list(paths []string) string {
	quoted := make([]string, len(paths))
	for i, p := range paths {
		quoted[i] = "'" + strings.ReplaceAll(p, "'", "''") + "'"
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
