//go:build unix

package storetest_test

import (
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/testing/storetest"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func TestDirectory(t *testing.T) {
	storetest.Run(t, storetest.Backend{Location: testdir.New})
}

func TestMemory(t *testing.T) {
	const alone, withIt = "what a process counts in its memory nobody else sees", "what a process counts in its memory goes with it"
	lacks := map[string]string{
		"updates after Close go nowhere":                                      "there is nothing to close: memory goes on counting",
		"the Registerer's collectors are shown":                               "they are in the default registry itself, which is scraped",
		"a deleted series leaves, and goes on when made again":                "without other processes a series starts at zero, as in client_golang",
		"an unregistered counter goes on when made again, and a gauge is new": "the Registerer is the default registerer, which knows no own instruments",
		"processes are merged":                                                alone,
		"gauges have modes":                                                   alone,
		"the oldest start timestamp is shown":                                 alone,
		"two types of one name do no harm":                                    alone,
		"totals go on after a process":                                        withIt,
		"nothing that returned is lost at SIGKILL":                            withIt,
		"no series whose constructor returned is lost at SIGKILL":             withIt,
		"nothing that was flushed is lost at SIGKILL":                         withIt,
		"live gauges leave with a killed process":                             withIt,
	}
	storetest.Run(t, storetest.Backend{Location: func(testing.TB) string { return "memory:" }, Lacks: lacks})
}
