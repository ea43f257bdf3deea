package store_test

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/testing/memoryserver"
	"github.com/mpmetrics/mpmetrics/store"
)

// The last values are published although the connection was cut since the last flush; an
// error says that they are not.
func TestCloseOnServer(t *testing.T) {
	// Close flushes once more, too.
	for _, fate := range []memoryserver.Fate{memoryserver.Dropped, memoryserver.Unheard, memoryserver.Repeated} {
		for failures := int64(0); failures < 5; failures++ {
			var left atomic.Int64
			server := memoryserver.New()
			client := &memoryserver.Client{Server: server, Fate: func() memoryserver.Fate {
				if left.Add(-1) >= 0 {
					return fate
				}
				return memoryserver.Answered
			}}
			s, err := store.Open(store.Opts{Location: client.Location(), FlushInterval: time.Hour, NoAbsorption: true, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			before := sequence(server)
			left.Store(failures)
			err = s.Close()
			if failures < 4 || fate == memoryserver.Repeated {
				if err != nil {
					t.Errorf("%d failures: %v", failures, err)
				}
			} else if !errors.Is(err, remote.ErrUnreachable) {
				t.Errorf("%d failures: error %v", failures, err)
			}
			if published := sequence(server) > before; !published && (err == nil || fate != memoryserver.Dropped) {
				t.Errorf("fate %d, %d failures: not published, error %v", fate, failures, err)
			}
		}
	}
}

// sequence is that of the only process.
func sequence(s *memoryserver.Server) (seq uint64) {
	s.Do(func(state *memoryserver.State) {
		for _, p := range state.Partitions {
			seq = p.Seq
		}
	})
	return seq
}
