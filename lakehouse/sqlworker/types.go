//go:build cgo

package sqlworker

import (
	"fmt"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// typeOf names the type of a result column, and what to cast it to where
// Parquet would change or refuse it.
func typeOf(lt duckdb.LogicalType) (shown, cast string) {
	defer duckdb.DestroyLogicalType(&lt)
	if alias := duckdb.LogicalTypeGetAlias(lt); alias == "JSON" {
		return alias, "VARCHAR"
	}
	return nameOf(lt), castOf(duckdb.GetTypeId(lt))
}

func castOf(t duckdb.Type) string {
	switch t {
	case duckdb.TypeHugeInt:
		return "DECIMAL(38,0)"
	case duckdb.TypeUHugeInt, duckdb.TypeInterval, duckdb.TypeTimeTZ, duckdb.TypeBit,
		duckdb.TypeUnion, duckdb.TypeBigNum, duckdb.TypeEnum:
		return "VARCHAR"
	case duckdb.TypeSQLNull:
		return "VARCHAR"
	}
	return ""
}

func nameOf(lt duckdb.LogicalType) string {
	switch t := duckdb.GetTypeId(lt); t {
	case duckdb.TypeDecimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", duckdb.DecimalWidth(lt), duckdb.DecimalScale(lt))
	case duckdb.TypeList:
		child := duckdb.ListTypeChildType(lt)
		defer duckdb.DestroyLogicalType(&child)
		return nameOf(child) + "[]"
	default:
		if name, ok := typeNames()[t]; ok {
			return name
		}
		return "VARCHAR"
	}
}

func typeNames() map[duckdb.Type]string {
	return map[duckdb.Type]string{
		duckdb.TypeBoolean: "BOOLEAN", duckdb.TypeTinyInt: "TINYINT", duckdb.TypeSmallInt: "SMALLINT",
		duckdb.TypeInteger: "INTEGER", duckdb.TypeBigInt: "BIGINT", duckdb.TypeUTinyInt: "UTINYINT",
		duckdb.TypeUSmallInt: "USMALLINT", duckdb.TypeUInteger: "UINTEGER", duckdb.TypeUBigInt: "UBIGINT",
		duckdb.TypeFloat: "FLOAT", duckdb.TypeDouble: "DOUBLE", duckdb.TypeTimestamp: "TIMESTAMP",
		duckdb.TypeDate: "DATE", duckdb.TypeTime: "TIME", duckdb.TypeInterval: "INTERVAL",
		duckdb.TypeHugeInt: "HUGEINT", duckdb.TypeUHugeInt: "UHUGEINT", duckdb.TypeBlob: "BLOB",
		duckdb.TypeTimestampS: "TIMESTAMP_S", duckdb.TypeTimestampMS: "TIMESTAMP_MS", duckdb.TypeTimestampNS: "TIMESTAMP_NS",
		duckdb.TypeEnum: "ENUM", duckdb.TypeStruct: "STRUCT", duckdb.TypeMap: "MAP", duckdb.TypeArray: "ARRAY",
		duckdb.TypeUUID: "UUID", duckdb.TypeUnion: "UNION", duckdb.TypeBit: "BIT",
		duckdb.TypeTimeTZ: "TIME WITH TIME ZONE", duckdb.TypeTimestampTZ: "TIMESTAMP WITH TIME ZONE",
	}
}
