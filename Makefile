# Two commands matter: `go run ./cmd/headlessly serve` and `make test`.
GO      ?= go
LINT    := $(GO) tool -modfile=.ci/lint/go.mod golangci-lint
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

.PHONY: all build generate test lint vet unit js e2e bench peers soak deps clean

all: build

build: ## the one binary, in bin/
	$(GO) build -trimpath -o bin/headlessly ./cmd/headlessly

generate: ## rebuild what is generated and committed (the browser script)
	$(GO) generate ./...

test: deps vet lint nocgo unit js ## everything, with what it needs installed first

deps: ## what the tests need: browsers and the script's development tools
	.ci/deps

vet:
	$(GO) vet ./...

lint:
	$(LINT) run ./...

.PHONY: nocgo
nocgo: ## without a C compiler everything but SQL builds
	CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/headlessly

unit: ## Go tests, the end-to-end test in a real browser among them
	$(GO) test -timeout 20m ./...

js: ## the browser script's own checks, and the script in three browsers against the gateway's tables
	cd jsclient && npm run check && npm run browsers

e2e: deps ## only the end-to-end test
	$(GO) test -count=1 -v ./cmd/e2e

bench: ## the figures of the README, as ratios within one run
	$(GO) run ./bench

peers: ## the browser script beside posthog-js, @sentry/browser and web-vitals: bench/peers/RESULTS.md
	cd bench/peers && npm install --no-save --no-audit --no-fund --loglevel=error && npm run compare

soak: ## longer runs of the fault tests, and what crowds, overload and a large log do
	HEADLESSLY_SOAK=1 $(GO) test -count=1 -timeout 3h ./...
	$(GO) run ./bench -run flood,zipf,slow,overload,start

clean:
	rm -rf bin
