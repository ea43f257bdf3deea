# Everything works on a fresh machine with Go, git, make and a network for packages. What is fetched on the way
# goes into .cache/.

GOLANGCI_LINT := .cache/bin/golangci-lint-v2.15.0
# Each system, and 32 bits. No file is for one processor alone (internal/house), so one processor stands for all.
VETTED        := darwin/arm64 freebsd/amd64 windows/amd64 linux/386
BUILT         := linux/arm64 linux/arm windows/386
MODULES       := $(patsubst %/go.mod,%,$(sort $(shell find . -name go.mod -not -path './.cache/*')))
GOVULNCHECK   := .cache/bin/govulncheck-v1.1.4
FUZZTIME      ?= 60s
SOAKTIME      ?= 8h

# Unpacked packages come last: what is installed is preferred.
export PATH := $(PATH):$(CURDIR)/.cache/deb/usr/bin

.NOTPARALLEL:
.PHONY: help demo test test386 soak fuzz others bench lint fmt staticcheck tidy cross vulncheck deps clean

help: ## show the targets
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; do \
		printf '  make %-12s %s\n' "$$target" "$$text"; done

demo: ## four processes under load, two of them killed, then 300 jobs: is everything counted?
	@go run ./examples/prefork/demo

test: ## all tests of all modules, with the race detector; each benchmark once; the library on 32 bits
	@./scripts/deps.sh || true # the tests that miss something say so themselves
	@./scripts/test.sh -timeout=30m $(MODULES)

test386: ## the tests of the library as a 32-bit program, in their short form
	@./scripts/test386.sh

soak: ## the long tests too; takes hours, at most SOAKTIME (8h) for a package
	@./scripts/deps.sh || true
	@MPMETRICS_SOAK=1 ./scripts/test.sh -count=1 -timeout=$(SOAKTIME) $(MODULES)

fuzz: ## each fuzz target for FUZZTIME (60s)
	@./scripts/fuzz.sh $(FUZZTIME)

others: ## the tests of client_golang and others with mpmetrics in its place, three minutes
	@./scripts/others.sh

bench: ## side by side with client_golang and others, eight minutes; SHORT=1: two
	@./scripts/deps.sh peers || true # the report says what is missing
	@cd bench && go run . $(if $(SHORT),-short)

# Linters and compilers take a fifth less when garbage is collected a quarter as often.
lint: export GOGC ?= 400
lint: fmt staticcheck tidy cross ## all that can be said of the code without running it

fmt: ## is it formatted?
	@files=$$(gofmt -l .); [ -z "$$files" ] || { echo "fmt: run gofmt -w on" $$files; exit 1; }

staticcheck: $(GOLANGCI_LINT) ## the linters of .golangci.yml, go vet among them, all modules
	@for m in $(MODULES); do (cd $$m && $(CURDIR)/$(GOLANGCI_LINT) run --config=$(CURDIR)/.golangci.yml ./...) || exit 1; done

tidy: ## do go.mod and go.sum say what is used?
	@for m in $(MODULES); do (cd $$m && go mod tidy -diff) || exit 1; done

# vet reads the tests too: a constant may overflow on 32 bits. With -trimpath a clone finds in the build cache what another
# clone has built.
cross: ## does it build on the other systems?
	@export CGO_ENABLED=0 GOFLAGS=-trimpath; \
	for p in $(VETTED) $(BUILT); do \
		case " $(VETTED) " in *" $$p "*) check=vet ;; *) check=build ;; esac; \
		GOOS=$${p%/*} GOARCH=$${p#*/} go $$check ./... || { echo "cross: go $$check on $$p"; exit 1; }; \
	done

vulncheck: $(GOVULNCHECK) ## does a module call code with a known vulnerability?
	@for m in $(MODULES); do (cd $$m && $(CURDIR)/$(GOVULNCHECK) ./...) || exit 1; done

deps: ## the Debian packages that tests use
	@./scripts/deps.sh

clean: ## forget what was fetched
	@rm -rf .cache

$(GOLANGCI_LINT):
	@echo 'lint: building golangci-lint, once, about two minutes'
	@mkdir -p $(@D)
	@GOBIN=$(CURDIR)/$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(lastword $(subst -, ,$@)) \
		|| { echo 'lint: golangci-lint cannot be installed: is there a network for Go modules?'; exit 1; }
	@mv $(@D)/golangci-lint $@

$(GOVULNCHECK):
	@mkdir -p $(@D)
	@GOBIN=$(CURDIR)/$(@D) go install golang.org/x/vuln/cmd/govulncheck@$(lastword $(subst -, ,$@)) \
		|| { echo 'vulncheck: govulncheck cannot be installed: is there a network for Go modules?'; exit 1; }
	@mv $(@D)/govulncheck $@
