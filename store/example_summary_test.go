package store_test

import (
	"fmt"
	"log"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// observePayload is a process that sends one payload and ends.
func observePayload(dir string, bytes float64) error {
	s, err := store.Open(store.Opts{Location: dir})
	if err != nil {
		return err
	}
	s.NewSummaryVec(prometheus.SummaryOpts{
		Name: "payload_bytes", Help: "Size of payloads.",
	}, []string{"format"}).WithLabelValues("json").Observe(bytes)
	return s.Close()
}

// A summary has the count and the sum of all processes. Quantiles of several processes
// cannot be merged: use a histogram for quantiles.
func ExampleStore_NewSummaryVec() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, bytes := range []float64{100, 300} {
		if err := observePayload(dir, bytes); err != nil {
			log.Fatal(err)
		}
	}

	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	text, err := testutil.CollectAndFormat(c, expfmt.TypeTextPlain, "payload_bytes")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(text))
	// Output:
	// # HELP payload_bytes Size of payloads.
	// # TYPE payload_bytes summary
	// payload_bytes_sum{format="json"} 400
	// payload_bytes_count{format="json"} 2
}
