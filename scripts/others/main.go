// Command others runs the tests of other projects with mpmetrics in the place of client_golang.
//
//	go run ./scripts/others [-suite REGEXP] [-run REGEXP] [-v]
//
// The tests come from the module cache, in the versions of fuzz/catalogue/go.mod, and need a network
// the first time. In a temporary copy of client_golang the constructors and the methods of Registry
// have other names. The functions of testdata/hooks.go have their place, and call testdata/ours.go.
// Each top-level test runs in a process of its own, in four modes:
//
//	alone       with client_golang alone: a test that fails here says nothing about mpmetrics
//	memory      the constructors are the constructors of a store in memory
//	directory   the constructors are the constructors of a store with a directory
//	registerer  each registry is the Registerer of a store, and a collector.Gatherer
//
// expected.txt lists the tests that fail on purpose, with the reason of each. The command fails if a
// test fails without an entry, and if a test with an entry passes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// suite is a package with tests, and its name in expected.txt.
type suite struct {
	name, module, dir string
}

const client = "github.com/prometheus/client_golang"

var suites = []suite{
	{"client_golang/prometheus", client, "prometheus"},
	{"client_golang/promauto", client, "prometheus/promauto"},
	{"client_golang/promhttp", client, "prometheus/promhttp"},
	{"client_golang/testutil", client, "prometheus/testutil"},
	{"client_golang/collectors", client, "prometheus/collectors"},
	{"client_golang/graphite", client, "prometheus/graphite"},
	{"client_golang/push", client, "prometheus/push"},
	{"go-grpc-middleware", "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus", "."},
	{"go-http-metrics", "github.com/slok/go-http-metrics", "metrics/prometheus"},
	{"component-base/metrics", "k8s.io/component-base", "metrics"},
	{"component-base/legacyregistry", "k8s.io/component-base", "metrics/legacyregistry"},
	{"component-base/restclient", "k8s.io/component-base", "metrics/prometheus/restclient"},
	{"component-base/testutil", "k8s.io/component-base", "metrics/testutil"},
	{"opentelemetry", "go.opentelemetry.io/otel/exporters/prometheus", "."},
}

// alone is the mode without mpmetrics, and comes first.
const alone = "alone"

var modes = []string{"memory", "directory", "registerer"}

func main() {
	run := flag.String("run", "", "run only the tests that match")
	only := flag.String("suite", "", "run only the suites that match")
	verbose := flag.Bool("v", false, "show the output of each test that fails")
	flag.Parse()
	if err := others(*only, *run, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "others:", err)
		os.Exit(1)
	}
}

func others(only, run string, verbose bool) error {
	chosenSuite, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	chosenTest, err := regexp.Compile(run)
	if err != nil {
		return err
	}
	list, err := readExpected(expectedText)
	if err != nil {
		return err
	}
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "others")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	chosen := slices.DeleteFunc(slices.Clone(suites), func(s suite) bool { return !chosenSuite.MatchString(s.name) })
	w := world{root: root, dir: work}
	if err := w.prepare(chosen); err != nil {
		return err
	}
	r := newReport(os.Stdout, list, verbose)
	for _, s := range chosen {
		t, err := w.build(s)
		if err != nil {
			return err
		}
		for _, result := range t.run(chosenTest) {
			r.add(result)
		}
	}
	r.summarize(chosen)
	r.checkList(chosen, chosenTest)
	if r.surprises > 0 {
		return fmt.Errorf("%d surprises: see scripts/others/expected.txt", r.surprises)
	}
	return nil
}
