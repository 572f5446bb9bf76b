"""Compares what other engines read of the lakehouse's tables with what our SQL
answered, and prints one line of JSON: rows and a digest of every value, by table
and engine.

usage: read.py CATALOG_URI KEY ANSWERS

PyIceberg, ClickHouse (chdb) and DuckDB's own iceberg extension come in through our
REST catalog; the latter two read the files that it names, too. ANSWERS is a folder with SELECT *
of each table as our SQL wrote it, TABLE.parquet.
"""

import hashlib
import json
import pathlib
import sys

import chdb
import chdb.session
import duckdb
import duckdb_extension_avro
import duckdb_extension_httpfs
import duckdb_extension_iceberg
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.rest import RestCatalog


def canonical(value, uuid: bool) -> bytes:
    """One form of a value, whoever read it."""
    if value is None:
        return b"\x00"
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if uuid:
        if isinstance(value, bytes) and len(value) != 16:  # ClickHouse's texts are bytes
            value = value.decode()
        return (value.hex() if isinstance(value, bytes) else str(value).replace("-", "")).encode()
    if isinstance(value, bytes):
        return value
    if isinstance(value, float):
        return value.hex().encode()
    if hasattr(value, "isoformat"):
        return str(round(value.timestamp() * 1_000_000)).encode()
    return str(value).encode()


def digest(table: pa.Table, uuids: set[str]) -> str:
    """One hash over every value of every row, in log order."""
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if isinstance(column.type, pa.ExtensionType):
            column = pa.chunked_array([c.storage for c in column.chunks], type=column.type.storage_type)
        columns[name] = column
    order = pa.compute.sort_indices(pa.table({"log_seq": columns["log_seq"]}), sort_keys=[("log_seq", "ascending")])
    h = hashlib.sha256()
    for name in sorted(columns):
        h.update(name.encode())
        for value in columns[name].take(order).to_pylist():
            h.update(canonical(value, name in uuids) + b"\x1f")
    return h.hexdigest()


def main() -> None:
    uri, key, answers = sys.argv[1:4]
    catalog = RestCatalog("lake", uri=uri, token=key)
    engine = duckdb.connect()
    for package in (duckdb_extension_avro, duckdb_extension_httpfs, duckdb_extension_iceberg):
        engine.execute(f"LOAD '{next(pathlib.Path(package.__file__).parent.rglob('*.duckdb_extension'))}'")
    engine.execute("SET TimeZone = 'UTC'")
    engine.execute(f"ATTACH '' AS lake (TYPE iceberg, ENDPOINT '{uri}', TOKEN '{key}')")
    clickhouse = chdb.session.Session()
    clickhouse.query("SET allow_database_iceberg = 1")
    clickhouse.query(f"CREATE DATABASE lake ENGINE = DataLakeCatalog('{uri}', 'Parquet') SETTINGS catalog_type = 'rest', warehouse = 'headlessly', auth_header = 'Authorization: Bearer {key}'")
    listed = sorted(str(clickhouse.query("SHOW TABLES FROM lake", "TSV")).split())
    assert listed == sorted(".".join(t) for t in catalog.list_tables("headlessly")), listed
    as_table = "SETTINGS session_timezone = 'UTC', output_format_arrow_string_as_string = 0", "ArrowTable"
    out = {}
    for _, name in catalog.list_tables("headlessly"):
        table = catalog.load_table(("headlessly", name))
        uuids = {f.name for f in table.schema().fields if str(f.field_type) == "uuid"}
        replace = f"* REPLACE ({', '.join(f'toString({c}) AS {c}' for c in uuids)})" if uuids else "*"
        metadata = table.metadata_location.removeprefix("file://")
        rows = {
            "ours": pq.read_table(f"{answers}/{name}.parquet"),
            "pyiceberg": table.scan().to_arrow(),
        }
        if table.current_snapshot() is not None:  # an empty table has no files to read
            rows["duckdb"] = engine.execute("SELECT * FROM iceberg_scan($f)", {"f": metadata}).to_arrow_table()
            rows["duckdb, our catalog"] = engine.execute(f"SELECT * FROM lake.headlessly.{name}").to_arrow_table()
            folder = table.location().removeprefix("file://")
            rows["clickhouse"] = clickhouse.query(f"SELECT {replace} FROM icebergLocal('{folder}') {as_table[0]}", as_table[1])
            rows["clickhouse, our catalog"] = clickhouse.query(f"SELECT {replace} FROM lake.`headlessly.{name}` {as_table[0]}", as_table[1])
        out[name] = {who: {"rows": t.num_rows, "digest": digest(t, uuids)} for who, t in rows.items()}
    print(json.dumps(out))


main()
