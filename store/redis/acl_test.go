//go:build unix

package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/redisserver"
)

// documentedRights are the words of the command in the package comment.
func documentedRights(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("redis.go")
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for line := range strings.Lines(string(text)) {
		rest, code := strings.CutPrefix(line, "//\t")
		if len(words) == 0 && !strings.HasPrefix(rest, "ACL SETUSER ") {
			continue
		}
		if !code {
			break
		}
		words = append(words, strings.Fields(rest)...)
	}
	return words
}

// everything does all that processes, collectors and absorptions do with a server, and
// returns the first error.
func everything(t *testing.T, server *redisserver.Server, location string) error {
	t.Helper()
	server.Do("flushall")
	server.Do("script", "flush")
	ctx := context.Background()
	s := connect(t, location)
	r := newReader(t, location)
	p := newProcess(t, location, time.Millisecond)
	absorb := func() error {
		promtest.Eventually(t, "the end of a life", func() bool {
			state, err := s.Look(ctx, nil)
			return err != nil || !slices.ContainsFunc(state.Partitions, func(p remote.Partition) bool { return p.Live })
		})
		_, err := compact.Run(ctx, location, compact.Opts{})
		return err
	}
	all := layout.ID{1}
	for i, do := range []func() error{
		func() error { return p.Flush(ctx) },
		func() error { return r.scanner.Merge(ctx) },
		func() error { p.Set(map[string]string{remote.ExemplarField + "x": "y"}); return p.Flush(ctx) },
		func() error { p.Set(map[string]string{remote.ExemplarField + "x": ""}); return p.Flush(ctx) },
		absorb,
		func() error { return p.Flush(ctx) }, // it comes back
		func() error {
			server.Do("hset", keysOf("shop").archive(), "pruned", "damaged", "generation", "x")
			return absorb()
		},
		func() error { return p.Flush(ctx) }, // and goes back
		absorb,
		func() error {
			_, err := s.Update(ctx, []remote.Update{{
				ID: all, Seq: 1, Begin: &layout.Header{PID: 1, ID: all, PageSize: layout.PageSize}, Instead: layout.ID{2}, Former: layout.ID{3},
			}})
			return err
		},
		func() error { return s.Discard(ctx, remote.Partition{ID: all, Seq: 1}, "test") },
		func() error { return r.scanner.Merge(ctx) },
	} {
		if err := do(); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

// The rights that the documentation lists are enough, and none of them is too much.
func TestRights(t *testing.T) {
	server := redisserver.Start(t)
	words := documentedRights(t)
	if len(words) < 10 {
		t.Fatalf("no command in the documentation: %q", words)
	}
	location := strings.Replace(server.URL("namespace=shop"), "://", "://shop:secret@", 1)
	server.Do(words...)
	if err := everything(t, server, location); err != nil {
		t.Fatalf("%v\n%s", err, server.Do("acl", "log"))
	}
	if err := everything(t, server, strings.Replace(location, "=shop", "=other", 1)); err == nil {
		t.Error("the keys of another namespace can be used")
	}
	for _, word := range words {
		if !strings.HasPrefix(word, "+") {
			continue
		}
		server.Do(words...)
		server.Do("acl", "setuser", "shop", "-"+word[1:])
		if err := everything(t, server, location); !errors.Is(err, remote.ErrUnreachable) {
			t.Errorf("without %s: %v", word, err)
		}
	}
}
