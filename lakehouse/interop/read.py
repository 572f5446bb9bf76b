"""Compares what PyIceberg and DuckDB's own Python package read of a lakehouse
table with what our SQL answered, and prints one line of JSON.

usage: read.py CATALOG_URI KEY TABLE ANSWER

PyIceberg comes in through the REST catalog, DuckDB's iceberg extension through
the table's metadata file. ANSWER is SELECT * of the same table as our SQL wrote
it, a Parquet file.
"""

import hashlib
import json
import pathlib
import sys

import duckdb
import duckdb_extension_avro
import duckdb_extension_iceberg
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.rest import RestCatalog


def digest(table: pa.Table) -> str:
    """One hash over every value of every row, in log order."""
    table = table.sort_by("log_seq")
    h = hashlib.sha256()
    for name in sorted(table.column_names):
        h.update(name.encode())
        for value in table.column(name).to_pylist():
            h.update(canonical(value).encode() + b"\x1f")
    return h.hexdigest()


def canonical(value) -> str:
    if value is None:
        return "\x00"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return value.hex()
    if hasattr(value, "isoformat"):
        return str(round(value.timestamp() * 1_000_000))
    return str(value)


def plain(table: pa.Table) -> pa.Table:
    """UUIDs and texts in one form, whoever wrote them."""
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if isinstance(column.type, pa.ExtensionType):
            column = pa.chunked_array([c.storage for c in column.chunks], type=column.type.storage_type)
        columns[name] = column
    return pa.table(columns)


uri, key, name, answer = sys.argv[1:5]
catalog = RestCatalog("lake", uri=uri, token=key)
table = catalog.load_table(("headlessly", name))
theirs = plain(table.scan().to_arrow())
ours = plain(pq.read_table(answer))
engine = duckdb.connect()
for package in (duckdb_extension_avro, duckdb_extension_iceberg):
    engine.execute(f"LOAD '{next(pathlib.Path(package.__file__).parent.rglob('*.duckdb_extension'))}'")
engine.execute("SET TimeZone = 'UTC'")
metadata = table.metadata_location.removeprefix("file://")
scanned = plain(engine.execute("SELECT * FROM iceberg_scan($f)", {"f": metadata}).to_arrow_table())
print(
    json.dumps(
        {
            "tables": sorted(t[1] for t in catalog.list_tables("headlessly")),
            "rows": theirs.num_rows,
            "duckdb": scanned.num_rows,
            "same": digest(theirs) == digest(ours),
            "duckdbSame": digest(scanned) == digest(ours),
            "columns": theirs.column_names == ours.column_names,
            "acme": table.scan(row_filter="tenant == 'acme'").to_arrow().num_rows,
        }
    )
)
