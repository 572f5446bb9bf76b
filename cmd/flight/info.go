package flight

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql/schema_ref"
)

// serverInfo is what GetSqlInfo tells: JDBC's DatabaseMetaData asks for all of
// it. Sets of values are bits, by the numbers of Flight SQL's enumerations.
func serverInfo(version string) map[flightsql.SqlInfo]any {
	info := map[flightsql.SqlInfo]any{
		flightsql.SqlInfoFlightSqlServerName:                                 "headlessly",
		flightsql.SqlInfoFlightSqlServerVersion:                              version,
		flightsql.SqlInfoFlightSqlServerArrowVersion:                         arrow.PkgVersion,
		flightsql.SqlInfoFlightSqlServerTransaction:                          int32(0), // none
		flightsql.SqlInfoFlightSqlServerStatementTimeout:                     int32(0), // handles do not end
		flightsql.SqlInfoFlightSqlServerTransactionTimeout:                   int32(0),
		flightsql.SqlInfoIdentifierCase:                                      int32(1), // case does not matter
		flightsql.SqlInfoQuotedIdentifierCase:                                int32(1),
		flightsql.SqlInfoIdentifierQuoteChar:                                 `"`,
		flightsql.SqlInfoNullOrdering:                                        int32(3), // at the end
		flightsql.SqlInfoSearchStringEscape:                                  `\`,
		flightsql.SqlInfoExtraNameChars:                                      "",
		flightsql.SqlInfoKeywords:                                            []string{"ANALYSE", "ASOF", "EXCLUDE", "FROM", "ILIKE", "LATERAL", "LIMIT", "OFFSET", "PIVOT", "QUALIFY", "SAMPLE", "SEMI", "SUMMARIZE", "UNPIVOT", "USING"},
		flightsql.SqlInfoNumericFunctions:                                    []string{"abs", "ceil", "exp", "floor", "ln", "log10", "mod", "pi", "power", "round", "sign", "sqrt", "trunc"},
		flightsql.SqlInfoStringFunctions:                                     []string{"concat", "left", "length", "lower", "ltrim", "md5", "regexp_extract", "regexp_replace", "replace", "right", "rtrim", "split_part", "substring", "trim", "upper"},
		flightsql.SqlInfoSystemFunctions:                                     []string{"coalesce", "current_database", "current_schema", "ifnull", "nullif", "version"},
		flightsql.SqlInfoDateTimeFunctions:                                   []string{"age", "current_date", "date_diff", "date_part", "date_trunc", "epoch", "extract", "make_date", "now", "strftime", "strptime", "time_bucket"},
		flightsql.SqlInfoSupportsConvert:                                     map[int32][]int32{},
		flightsql.SqlInfoSupportedGroupBy:                                    int32(1 | 2),
		flightsql.SqlInfoSupportedGrammar:                                    int32(1 | 2 | 4),
		flightsql.SqlInfoANSI92SupportedLevel:                                int32(1),
		flightsql.SqlInfoOuterJoinsSupportLevel:                              int32(2 | 4), // limited, full
		flightsql.SqlInfoSchemaTerm:                                          "schema",
		flightsql.SqlInfoProcedureTerm:                                       "procedure",
		flightsql.SqlInfoCatalogTerm:                                         "catalog",
		flightsql.SqlInfoSchemasSupportedActions:                             int32(0),
		flightsql.SqlInfoCatalogsSupportedActions:                            int32(0),
		flightsql.SqlInfoSupportedPositionedCommands:                         int32(0),
		flightsql.SqlInfoSupportedSubqueries:                                 int32(1 | 2 | 4 | 8),
		flightsql.SqlInfoSupportedUnions:                                     int32(1 | 2),
		flightsql.SqlInfoMaxStatementLen:                                     int64(maxHandleBytes),
		flightsql.SqlInfoMaxStatements:                                       int64(0),
		flightsql.SqlInfoDefaultTransactionIsolation:                         int32(0), // none
		flightsql.SqlInfoSupportedTransactionsIsolationlevels:                int32(1), // none
		flightsql.SqlInfoSupportedResultSetTypes:                             int32(1 | 2),
		flightsql.SqlInfoSupportedConcurrenciesForResultSetUnspecified:       int32(1 | 2),
		flightsql.SqlInfoSupportedConcurrenciesForResultSetForwardOnly:       int32(1 | 2),
		flightsql.SqlInfoSupportedConcurrenciesForResultSetScrollSensitive:   int32(0),
		flightsql.SqlInfoSupportedConcurrenciesForResultSetScrollInsensitive: int32(0),
	}
	for _, id := range []flightsql.SqlInfo{
		flightsql.SqlInfoFlightSqlServerReadOnly, flightsql.SqlInfoFlightSqlServerSql, flightsql.SqlInfoAllTablesAreASelectable,
		flightsql.SqlInfoSupportsColumnAliasing, flightsql.SqlInfoNullPlusNullIsNull, flightsql.SqlInfoSupportsTableCorrelationNames,
		flightsql.SqlInfoSupportsExpressionsInOrderBy, flightsql.SqlInfoSupportsOrderByUnrelated, flightsql.SqlInfoSupportsLikeEscapeClause,
		flightsql.SqlInfoSupportsNonNullableColumns, flightsql.SqlInfoCatalogAtStart, flightsql.SqlInfoCorrelatedSubqueriesSupported,
	} {
		info[id] = true
	}
	for _, id := range []flightsql.SqlInfo{
		flightsql.SqlInfoFlightSqlServerSubstrait, flightsql.SqlInfoFlightSqlServerCancel, flightsql.SqlInfoFlightSqlServerBulkIngestion,
		flightsql.SqlInfoFlightSqlServerIngestTransactionsSupported, flightsql.SqlInfoDDLCatalog, flightsql.SqlInfoDDLSchema, flightsql.SqlInfoDDLTable,
		flightsql.SqlInfoSupportsDifferentTableCorrelationNames, flightsql.SqlInfoSupportsIntegrityEnhancementFacility, flightsql.SqlInfoSelectForUpdateSupported,
		flightsql.SqlInfoStoredProceduresSupported, flightsql.SqlInfoMaxRowSizeIncludesBlobs, flightsql.SqlInfoTransactionsSupported,
		flightsql.SqlInfoDataDefinitionCausesTransactionCommit, flightsql.SqlInfoDataDefinitionsInTransactionsIgnored, flightsql.SqlInfoBatchUpdatesSupported,
		flightsql.SqlInfoSavePointsSupported, flightsql.SqlInfoNamedParametersSupported, flightsql.SqlInfoLocatorsUpdateCopy, flightsql.SqlInfoStoredFunctionsUsingCallSyntaxSupported,
	} {
		info[id] = false
	}
	for id := flightsql.SqlInfoMaxBinaryLiteralLen; id <= flightsql.SqlInfoMaxUsernameLen; id++ {
		if _, told := info[id]; !told {
			info[id] = int64(0) // no limit that is known
		}
	}
	return info
}

// sqlType is one row of GetXdbcTypeInfo.
type sqlType struct {
	name       string
	code       int32 // of JDBC and ODBC
	size       int32
	text       bool  // literals are in quotes
	arithmetic int32 // base of its digits, 0 for no number
}

func sqlTypes() []sqlType { // by code
	return []sqlType{
		{"BOOLEAN", -7, 1, false, 0},
		{"TINYINT", -6, 3, false, 10},
		{"BIGINT", -5, 19, false, 10},
		{"BLOB", -3, 0, true, 0},
		{"UUID", 1, 36, true, 0},
		{"DECIMAL", 3, 38, false, 10},
		{"INTEGER", 4, 10, false, 10},
		{"SMALLINT", 5, 5, false, 10},
		{"FLOAT", 7, 24, false, 2},
		{"DOUBLE", 8, 53, false, 2},
		{"VARCHAR", 12, 0, true, 0},
		{"DATE", 91, 10, true, 0},
		{"TIME", 92, 15, true, 0},
		{"TIMESTAMP", 93, 26, true, 0},
		{"TIMESTAMP WITH TIME ZONE", 2014, 32, true, 0},
	}
}

// GetFlightInfoXdbcTypeInfo implements flightsql.Server.
func (s *Server) GetFlightInfoXdbcTypeInfo(_ context.Context, _ flightsql.GetXdbcTypeInfo, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return s.info(schema_ref.XdbcTypeInfo, desc, desc.GetCmd()), nil
}

// DoGetXdbcTypeInfo implements flightsql.Server.
func (s *Server) DoGetXdbcTypeInfo(_ context.Context, q flightsql.GetXdbcTypeInfo) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	b := array.NewRecordBuilder(s.Alloc, schema_ref.XdbcTypeInfo)
	for _, t := range sqlTypes() {
		if only := q.GetDataType(); only == nil || *only == t.code {
			t.appendTo(b)
		}
	}
	return batch(b.NewRecordBatch())
}

func (t sqlType) appendTo(b *array.RecordBuilder) {
	values := map[string]any{
		"type_name": t.name, "local_type_name": t.name, "data_type": t.code, "sql_data_type": t.code,
		"nullable": int32(1), "searchable": int32(3), // null is a value; LIKE and comparisons work
		"case_sensitive": t.text, "fixed_prec_scale": false,
	}
	if t.size > 0 {
		values["column_size"] = t.size
	}
	if t.text {
		values["literal_prefix"], values["literal_suffix"] = "'", "'"
	}
	if t.arithmetic > 0 {
		values["num_prec_radix"], values["unsigned_attribute"] = t.arithmetic, false
	}
	for i, f := range b.Schema().Fields() {
		switch v := values[f.Name].(type) {
		case string:
			b.Field(i).(*array.StringBuilder).Append(v) //nolint:forcetypeassert // of the schema
		case int32:
			b.Field(i).(*array.Int32Builder).Append(v) //nolint:forcetypeassert // of the schema
		case bool:
			b.Field(i).(*array.BooleanBuilder).Append(v) //nolint:forcetypeassert // of the schema
		default:
			b.Field(i).AppendNull()
		}
	}
}
