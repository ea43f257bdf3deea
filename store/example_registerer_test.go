package store_test

import (
	"fmt"
	"log"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// A library takes a Registerer and knows nothing of mpmetrics.
type library struct{ calls prometheus.Counter }

func newLibrary(r prometheus.Registerer) *library {
	return &library{calls: promauto.With(r).NewCounter(prometheus.CounterOpts{
		Name: "library_calls_total", Help: "Calls of a library.",
	})}
}

// Collectors of a library are mirrored into the file of each process, and merged like the
// instruments of the store.
func ExampleStore_Registerer() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for range 2 { // two processes, each with a store of its own
		s, err := store.Open(store.Opts{Location: dir})
		if err != nil {
			log.Fatal(err)
		}
		newLibrary(s.Registerer()).calls.Add(21)
		if err := s.Close(); err != nil { // mirrors the last interval
			log.Fatal(err)
		}
	}

	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	text, err := testutil.CollectAndFormat(c, expfmt.TypeTextPlain, "library_calls_total")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(text))
	// Output:
	// # HELP library_calls_total Calls of a library.
	// # TYPE library_calls_total counter
	// library_calls_total 42
}
