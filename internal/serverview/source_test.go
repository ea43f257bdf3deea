package serverview_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/publisher"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/serverview"
	"github.com/mpmetrics/mpmetrics/internal/testing/memoryserver"
)

// slow is a server that does not come to answer more than so many reads.
type slow struct {
	remote.Server
	reads, partitions int
}

func (s *slow) Read(ctx context.Context, reads []remote.Read) ([]remote.Content, error) {
	if s.reads == 0 {
		return nil, remote.ErrUnreachable
	}
	s.reads--
	s.partitions += len(reads)
	return s.Server.Read(ctx, reads)
}

// A namespace that is too large to be read at once is read by several scans, each of
// which goes on where the one before had to stop.
func TestReadOn(t *testing.T) {
	const partitions = 50
	memory := memoryserver.New()
	for range partitions {
		p := publisher.NewPublisher(&memoryserver.Client{Server: memory}, layout.Header{PID: 1, ID: layout.NewID(), PageSize: layout.PageSize}, 1<<40)
		if err := p.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	server := &slow{Server: &memoryserver.Client{Server: memory}}
	source := &serverview.Source{Server: server}
	scans := 0
	for {
		server.reads = 2
		scans++
		_, err := source.Snapshot(t.Context())
		if err == nil {
			break
		}
		if !errors.Is(err, remote.ErrUnreachable) || scans > partitions {
			t.Fatalf("scan %d: %v", scans, err)
		}
	}
	names, err := source.Names()
	if err != nil || len(names) != partitions {
		t.Errorf("%d partitions, %v", len(names), err)
	}
	if scans < 2 || server.partitions != partitions {
		t.Errorf("%d scans read %d partitions, want %d", scans, server.partitions, partitions)
	}
}
