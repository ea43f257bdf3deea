//go:build unix

package redis_test

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/testing/redisserver"
	"github.com/mpmetrics/mpmetrics/internal/testing/storetest"
	_ "github.com/mpmetrics/mpmetrics/store/redis"
)

func TestMain(m *testing.M) {
	programs := storetest.Programs()
	programs["write"] = writeSteps
	programs.Main()
	os.Exit(m.Run())
}

// lacks are the rows that an interval between two flushes breaks.
var lacks = map[string]string{
	"counts are shown at once":                                "others see it with the next flush",
	"nothing that returned is lost at SIGKILL":                "values are on the heap until they are flushed",
	"no series whose constructor returned is lost at SIGKILL": "likewise",
}

func TestConformance(t *testing.T) {
	server := redisserver.Start(t)
	for _, protocol := range []string{"2", "3"} {
		t.Run("RESP"+protocol, func(t *testing.T) {
			var n atomic.Int64
			storetest.Run(t, storetest.Backend{
				Location: func(testing.TB) string {
					return server.URL(fmt.Sprintf("namespace=%s-%d&protocol=%s", protocol, n.Add(1), protocol))
				},
				Lacks: lacks,
			})
		})
	}
}
