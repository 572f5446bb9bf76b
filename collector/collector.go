package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/dedupe"
	"github.com/headlessly/headlessly/collector/enrich"
	"github.com/headlessly/headlessly/collector/tail"
)

// Limits of the public listener.
const (
	readBufferSize = 8 << 10 // headers; fasthttp answers 431 above it
	// writeBufferSize holds most answers; what is larger goes past it.
	writeBufferSize    = 1 << 10
	maxRequestsPerConn = 100_000 // a connection is renewed now and then
	// bodySlack is how much more than the limit is still read, so that a client
	// that is a little over gets its 413 and not a reset in the middle of
	// sending. Beyond it the connection is closed.
	bodySlack = 4 << 20
)

// Config is what a Collector needs.
type Config struct {
	Log       headlessly.Appender
	Directory Directory
	Script    []byte            // the browser script
	Ready     func() error      // nil while the log accepts writes
	Metrics   []func(io.Writer) // further metrics shown at /metrics
	Clock     headlessly.Clock
	Logger    *slog.Logger

	// SmallScripts are smaller builds of Script. PickScript says from the query
	// of the script's address which one does what it asks for: 0 is Script, 1
	// the first of the smaller. Without it everybody gets Script.
	SmallScripts [][]byte
	PickScript   func(query iter.Seq2[[]byte, []byte]) int

	// Dedupe remembers message ids; without it a repeated event is stored
	// again.
	Dedupe *dedupe.Index

	// Inbound verifies providers' webhooks; without it there is no inbound
	// route.
	Inbound Inbound

	// Tunnel passes on what other vendors' browser SDKs send; nil for no tunnel.
	Tunnel headlessly.Tunnel

	// Tracer makes a span of each request; nil makes none.
	Tracer trace.Tracer

	// Tap shows accepted events to who watches; nil for nobody.
	Tap *tail.Tap

	// Enrich says what events are completed with; the zero value works.
	Enrich enrich.Config

	// PathPrefix is an additional prefix ("/x7") under which every path is
	// served too: ad-blockers match paths.
	PathPrefix string
	// PublicURL is how clients reach the collector, where that is not what
	// their requests say (a proxy before it that ends TLS).
	PublicURL string
	// TrustedProxies are the networks of proxies whose X-Forwarded-For names
	// the client.
	TrustedProxies []netip.Prefix
	// HealthOnly serves /healthz, /readyz and /metrics and nothing else: a node
	// that does not collect.
	HealthOnly bool
	// UsageFile keeps what tenants have used of their events of a day over a
	// restart ([Collector.KeepUsage]), "" for nowhere.
	UsageFile string
	// TenantMetrics counts events by tenant; without, by Policy.Class only.
	TenantMetrics bool
	// AppendTimeout bounds the wait for the disk; after it the client is told
	// 503 and sends again.
	AppendTimeout time.Duration
	ReadTimeout   time.Duration // a whole request
	WriteTimeout  time.Duration
	IdleTimeout   time.Duration // between requests of one connection
	// MaxConns bounds connections. Each may hold about 20 KiB; what larger
	// bodies need beyond that comes from MaxBodyMemory.
	MaxConns      int
	MaxConnsPerIP int // 0 is no limit, right behind a proxy

	// MaxBodyBytes bounds a body after decompression, MaxRatio how many times
	// its compressed size it may have. 0 is the default of each.
	MaxBodyBytes int
	MaxRatio     int
	// MaxBodyMemory bounds what all bodies larger than 8 KiB hold together,
	// MaxInFlight the requests being worked on at once. Beyond either a request
	// is answered 503. 0 is the default of each.
	MaxBodyMemory int64
	MaxInFlight   int
}

const (
	defaultBodyMemory = 128 << 20
	defaultInFlight   = 4096
)

// filled gives c with defaults for limits that are not set.
func (c Config) filled() Config {
	if c.MaxBodyBytes == 0 {
		c.MaxBodyBytes = headlessly.MaxBodyBytes
	}
	if c.MaxRatio == 0 {
		c.MaxRatio = defaultRatio
	}
	if c.MaxBodyMemory == 0 {
		c.MaxBodyMemory = defaultBodyMemory
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = defaultInFlight
	}
	return c
}

// Default gives a Config that lacks only Log, Directory, Script and Ready.
func Default() Config {
	return Config{
		Clock:         headlessly.SystemClock,
		Logger:        slog.Default(),
		AppendTimeout: 10 * time.Second,
		ReadTimeout:   20 * time.Second,
		WriteTimeout:  20 * time.Second,
		IdleTimeout:   75 * time.Second,
		MaxConns:      20_000,
	}
}

// Validate reports every fault of the Config at once.
func (c *Config) Validate() error {
	var errs []error
	need := func(ok bool, name string) {
		if !ok {
			errs = append(errs, fmt.Errorf("collector: %s is missing", name))
		}
	}
	need(c.Log != nil, "log")
	need(c.Directory != nil, "directory")
	need(len(c.Script) > 0, "script")
	need(c.Ready != nil, "ready")
	need(c.Clock != nil, "clock")
	need(c.Logger != nil, "logger")
	need(c.AppendTimeout > 0 && c.ReadTimeout > 0 && c.WriteTimeout > 0 && c.IdleTimeout > 0, "a timeout")
	need(c.MaxConns > 0, "max connections")
	if c.MaxBodyBytes < 0 || c.MaxRatio < 0 || c.MaxBodyMemory < 0 || c.MaxInFlight < 0 {
		errs = append(errs, errors.New("collector: a limit is negative"))
	}
	if c.PathPrefix != "" && (!strings.HasPrefix(c.PathPrefix, "/") || strings.HasSuffix(c.PathPrefix, "/")) {
		errs = append(errs, fmt.Errorf("collector: path prefix %q must start with a slash and not end in one", c.PathPrefix))
	}
	return errors.Join(errs...)
}

// Collector is the public HTTP server.
type Collector struct {
	cfg           Config
	server        *fasthttp.Server
	scripts       *scripts
	enricher      *enrich.Enricher
	metrics       *counters
	decoders      decoders
	batches       batchPool
	rejectedLimit *rate.Limiter
	door          *door
	pace          *pace
	deadlines     deadlines
}

// New makes a Collector; it does not listen yet.
func New(cfg Config) (*Collector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.filled()
	if cfg.Enrich.Clock == nil {
		cfg.Enrich.Clock = cfg.Clock
	}
	enricher, err := enrich.New(cfg.Enrich)
	if err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	d, p := newDoor(&cfg), newPace(cfg.Clock)
	c := &Collector{
		cfg: cfg, scripts: newScripts(&cfg), enricher: enricher, metrics: newCounters(d, p),
		rejectedLimit: rate.NewLimiter(rejectedPerSecond, rejectedBurst),
		door:          d,
		pace:          p,
		deadlines:     deadlines{after: cfg.AppendTimeout},
	}
	c.loadUsage()
	c.server = &fasthttp.Server{
		Handler:                      c.Handler(),
		ErrorHandler:                 c.connectionError,
		Name:                         "headlessly",
		Concurrency:                  cfg.MaxConns,
		MaxConnsPerIP:                cfg.MaxConnsPerIP,
		MaxRequestsPerConn:           maxRequestsPerConn,
		ReadBufferSize:               readBufferSize,
		ReadTimeout:                  cfg.ReadTimeout,
		WriteTimeout:                 cfg.WriteTimeout,
		IdleTimeout:                  cfg.IdleTimeout,
		StreamRequestBody:            true, // bodies are read here, within MaxBodyMemory
		DisablePreParseMultipartForm: true,
		NoDefaultContentType:         true,
		NoDefaultDate:                false,
		CloseOnShutdown:              true,
		// Beyond Concurrency connections are refused, one after such a pause:
		// meanwhile the kernel's backlog holds back who comes.
		SleepWhenConcurrencyLimitsExceeded: time.Second / refusalsPerCPU,
		SecureErrorLogMessage:              true,
		Logger:                             discard{},
		DisableHeaderNamesNormalizing:      false,
	}
	return c, nil
}

// Handler is the collector's request handler, for a server of the caller's
// own. A panic in it is answered 500, counted and logged; nothing was
// acknowledged then.
func (c *Collector) Handler() fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		defer func() {
			if p := recover(); p != nil {
				c.metrics.panics.Inc()
				c.cfg.Logger.Error("collector.panic", slog.Any("panic", p))
				ctx.Response.Reset()
				c.refuse(ctx, newReply(500, "internal", "", "the gateway has a fault; nothing was acknowledged"))
				ctx.SetConnectionClose()
			}
		}()
		if folded(ctx.Request.Header.RawHeaders()) {
			c.refuse(ctx, newReply(400, "bad_request", "", "a header goes on in the next line, which proxies read in different ways"))
			ctx.SetConnectionClose()
			return
		}
		c.handle(ctx)
	}
}

// folded says whether a header has a line that begins with a blank. The server
// joins such lines; a proxy before it may read a length of its own out of them.
func folded(raw []byte) bool {
	return bytes.Contains(raw, []byte("\n ")) || bytes.Contains(raw, []byte("\n\t"))
}

// Serve answers requests on l until Shutdown.
func (c *Collector) Serve(l net.Listener) error { return c.server.Serve(l) }

// Shutdown closes the listener, lets requests under way finish and returns
// when they have or when ctx is done.
func (c *Collector) Shutdown(ctx context.Context) error {
	c.pace.stop()
	return c.server.ShutdownWithContext(ctx)
}

// Overflows says whether more comes than can be served: somebody was refused for
// that within the last seconds. What can wait should.
func (c *Collector) Overflows() bool { return c.door.crowd.overflows() }

// ReloadGeo opens the geo files again after they were replaced.
func (c *Collector) ReloadGeo() error { return c.enricher.Reload() }

// ScriptHash names the immutable twin of the script: /v1/{hash}.js.
func (c *Collector) ScriptHash() string { return c.scripts.builds[0].hash }

// connectionError answers what never reached the handler and closes the
// connection: after a parse error nobody knows where the next request starts.
func (c *Collector) connectionError(ctx *fasthttp.RequestCtx, err error) {
	c.metrics.connErrors.Inc()
	r := newReply(400, "bad_request", "", "the request could not be read")
	var small *fasthttp.ErrSmallBuffer
	var timeout net.Error
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		r = newReply(413, codeTooLarge, "body", fmt.Sprintf("is larger than %d bytes; send smaller batches", headlessly.MaxBodyBytes))
	case errors.As(err, &small):
		r = newReply(431, "headers_too_large", "", fmt.Sprintf("the headers are larger than %d bytes", readBufferSize))
	case errors.As(err, &timeout) && timeout.Timeout():
		r = newReply(408, "timeout", "", "the request took too long to arrive")
	}
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlAllowOrigin, "*")
	c.refuse(ctx, r)
	ctx.SetConnectionClose()
}

// discard drops fasthttp's own log lines: faults of connections are counted.
type discard struct{}

func (discard) Printf(string, ...any) {}
