# Every door into the project. `make help` lists them; CI calls only these.
SHELL := /bin/bash
NODE := node_modules/.bin/node
JEST := $(NODE) --experimental-vm-modules --no-warnings=ExperimentalWarning node_modules/jest/bin/jest.js
STAMP := node_modules/.package-lock.json

.DEFAULT_GOAL := help

.PHONY: help
help: ## List every target
	@grep -hE '^[a-z -]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{split($$1, names, " "); for (at = 1; at in names; at++) printf "  %-18s %s\n", names[at], $$2}'

$(STAMP): package.json package-lock.json
	npm ci --loglevel=error
	@touch $(STAMP)

.PHONY: deps
deps: $(STAMP) ## Install what the lock file names (also brings Node 26)

.PHONY: build
build: $(STAMP) ## Bundle every process into dist/
	$(NODE) cmd/build.ts

.PHONY: lint lint-types lint-rules lint-format lint-layers lint-generated
lint: $(STAMP) ## Types, lint rules, layers, format
	@$(MAKE) --no-print-directory --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) lint-rules lint-types lint-format lint-layers lint-generated
lint-types: $(STAMP)
	$(NODE) node_modules/typescript/bin/tsc --noEmit
	$(NODE) node_modules/typescript/bin/tsc --noEmit --project pkg/recorder/console/assets
lint-rules: $(STAMP)
	$(NODE) node_modules/eslint/bin/eslint.js --max-warnings 0 .
lint-format: $(STAMP)
	$(NODE) node_modules/prettier/bin/prettier.cjs --check --log-level warn .
lint-layers: $(STAMP)
	$(NODE) test/layers/check.ts
lint-generated: $(STAMP)
	$(NODE) cmd/gen/main.ts --check

.PHONY: format
format: $(STAMP) ## Write the format
	$(NODE) node_modules/prettier/bin/prettier.cjs --write --log-level warn .

.PHONY: test
test: $(STAMP) ## Everything: lint, then all tiers; ends with `N passed, N failed` [NODE_TIER=0 without the node's]
	$(NODE) test/run.ts

.PHONY: test-times
test-times: $(STAMP) ## Where the time of the last `make test` went: tiers, and its FILES=40 longest files
	@$(NODE) test/times.ts $(or $(FILES),40)

.PHONY: test-unit test-integration test-conformance test-fuzz test-chart
test-unit test-integration test-conformance test-fuzz test-chart: $(STAMP) ## One tier (chart: helm, of `make cluster-build`) [SEED=random: other cases of the property tests]
	$(JEST) --selectProjects $(@:test-%=%)

.PHONY: test-jitter
test-jitter: $(STAMP) ## Look for tests that race: sockets are late, by random times [TIER=integration, JITTER=ms of writes, JITTER_READS=ms, JITTER_TIMERS=ms]; what fails here may fail on a slow machine
	NODE_OPTIONS="--import $(CURDIR)/test/support/jitter.ts" $(JEST) --forceExit --selectProjects $(or $(TIER),integration)

.PHONY: test-chaos
test-chaos: $(STAMP) ## Kill the recorder and sidecars KILLS=1000 times at random moments, count what is found; hold 1,000 callers; a quarter of an hour [SEED=number]
	KILLS=$(or $(KILLS),1000) $(JEST) --selectProjects chaos --runInBand

.PHONY: test-s3
test-s3: $(STAMP) ## The archive on a real S3 server, versitygw: built once with Go, three minutes, or S3_SERVER=path
	@S3_SERVER="$$(test/support/s3-gateway.sh)" && export S3_SERVER && $(JEST) --selectProjects integration -- test/integration/record-archive.test.ts

.PHONY: test-collector
test-collector: $(STAMP) ## Shipping to a real OpenTelemetry collector: built once with Go, some minutes, or COLLECTOR=path (`make test` has it where it was built)
	@COLLECTOR="$$(test/collector/build.sh)" && export COLLECTOR && $(JEST) --selectProjects integration -- test/integration/ship-receivers.test.ts

.PHONY: test-h2spec
test-h2spec: $(STAMP) ## h2spec against the listener, over TLS and without: built once with Go, a minute, or H2SPEC=path (`make test` has it where it was built)
	@H2SPEC="$$(test/h2spec/build.sh)" && export H2SPEC && $(JEST) --selectProjects conformance -t h2spec -- test/conformance/http/http2-strict.test.ts

.PHONY: test-clients test-servers
test-clients: $(STAMP) ## Python's clients (openai, anthropic, langchain, litellm, tritonclient, ...) against the sidecar: installed once, some minutes (`make test` has them where they were)
	@test/support/python.sh clients >/dev/null && $(JEST) --selectProjects integration -- test/integration/python-clients.test.ts

test-servers: $(STAMP) ## The sidecar before real model servers, llama.cpp's and MLServer: installed once, some minutes (`make test` has them where they were)
	@test/support/python.sh servers >/dev/null && $(JEST) --selectProjects integration -- test/integration/real-servers.test.ts

.PHONY: test-apiserver
test-apiserver: $(STAMP) cluster-build-apiserver ## The tier on a real API server (from KUBEBUILDER_ASSETS, or built once)
	$(JEST) --selectProjects apiserver

.PHONY: test-scale
test-scale: $(STAMP) cluster-build-apiserver ## A controller with PODS=1000 pods and their sidecars on a real API server (`make test` has 300), and HELD=1000 callers who wait for people at one sidecar (200)
	PODS=$(or $(PODS),1000) HELD=$(or $(HELD),1000) $(JEST) --selectProjects apiserver --runInBand -t 'pods and as many sidecars|are held at once' -- test/apiserver/controller-process.test.ts test/apiserver/people.test.ts

.PHONY: test-node
test-node: $(STAMP) $(if $(CLUSTER),,cluster-build) ## The tier on a real node: Linux and root, or CLUSTER=context of a kubeconfig; takes down what it brought up
	$(JEST) --selectProjects node $(if $(CLUSTER),--runInBand)

.PHONY: image
image: $(STAMP) ## The image of all processes as dist/image/sidegate.tar, without Docker or a base image [TARGETARCH=amd64,arm64]
	$(NODE) cmd/image/main.ts $(if $(TARGETARCH),--architecture "$(TARGETARCH)")

.PHONY: cluster-build cluster-build-apiserver
cluster-build: ## Build Kubernetes and what it needs, once, into ~/.cache/sidegate-cluster (or KUBE_CACHE)
	test/cluster/build.sh

.PHONY: cluster-up cluster-down
cluster-up: $(STAMP) cluster-build ## A one-node Kubernetes on this machine, in a network namespace of its own (Linux, root)
	test/cluster/up.sh >/dev/null
	@echo 'test/cluster/netns.sh kubectl get nodes'

cluster-down: ## Stop it, and remove everything that it left on the machine
	test/cluster/down.sh

cluster-build-apiserver:
	@test/cluster/build.sh --api-server

.PHONY: run
run: build ## Run the sidecar: POLICY=policy.yaml UPSTREAM=http://127.0.0.1:8000 [LISTEN=host:port ADMIN=host:port DATA=folder AUDIT=file APPROVALS=folder GRANTS=folder REVOCATIONS=file]
	$(NODE) $(SIDECAR_FLAGS) dist/sidecar.js --policy "$(POLICY)" --upstream "$(UPSTREAM)" --listen "$(or $(LISTEN),127.0.0.1:8443)" \
	  --admin "$(or $(ADMIN),127.0.0.1:9090)" --data "$(or $(DATA),.sidegate)" --audit "$(or $(AUDIT),.sidegate/audit.jsonl)" \
	  $(if $(APPROVALS),--approvals "$(APPROVALS)") $(if $(GRANTS),--grants "$(GRANTS)") \
	  $(if $(REVOCATIONS),--revocations "$(REVOCATIONS)")

.PHONY: demo
demo: build ## Tour with a real client; ONCE=1 ends after it, UPSTREAM=http://... [MODEL=name UPSTREAM_KEY_FILE=file] uses your own model server
	UPSTREAM="$(UPSTREAM)" ONCE="$(ONCE)" $(NODE) test/demo/main.ts

.PHONY: demo-cluster
demo-cluster: cluster-up ## The user's day on a one-node Kubernetes of this machine, step by step; leaves it up (Linux, root; ONCE=1 ends after it)
	ONCE="$(ONCE)" $(NODE) test/demo/cluster.ts

.PHONY: backends
backends: $(STAMP) ## For trying: an OIDC issuer on 127.0.0.1:9400 and a scripted model server on 127.0.0.1:8000
	$(NODE) test/demo/backends.ts

.PHONY: bench
bench: $(STAMP) ## Every figure of docs/BENCHMARKS.md, in some minutes on a quiet machine (SHORT=1: a smoke in seconds; AGAIN=1: what failed in the run before; STRICT=1 fails on a missed target)
	$(NODE) test/bench/main.ts

.PHONY: phone-plans
phone-plans: $(STAMP) ## Write the countries' numbering plans anew, from libphonenumber-js, which is installed for this alone
	mkdir -p dist/phone-plans && cp test/detection/packages/package.json dist/phone-plans/ && npm install --prefix dist/phone-plans --no-package-lock --ignore-scripts --loglevel=error
	$(NODE) test/detection/phone-plans.ts

.PHONY: bench-search
bench-search: $(STAMP) ## The search figures alone, over ROWS=10000000 events (default 1,000,000; ten million take some minutes to make); STORE=postgres: in a database of this machine
	EVENTS="$(or $(ROWS),1000000)" STORE="$(or $(STORE),sqlite)" ONLY=recordSearch $(NODE) test/bench/main.ts

.PHONY: gen
gen: $(STAMP) ## Write what is generated: docs/policy.md, docs/cli.md, crds/, the chart's README, manifests/install.yaml, prepared patterns
	$(NODE) cmd/gen/main.ts

.PHONY: check
check: $(STAMP) ## What is generated is fresh, lint is clean, the tree is committed
	$(NODE) cmd/gen/main.ts --check
	$(MAKE) --no-print-directory lint
	@test -z "$$(git status --porcelain)" || { git status --short; echo 'the tree has changes that are not committed'; exit 1; }
