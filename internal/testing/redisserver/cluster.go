//go:build unix

package redisserver

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
)

// Cluster is a cluster of three servers, each with a third of the slots.
type Cluster struct{ nodes []*Server }

// StartCluster starts a cluster. The cluster ends with the test.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	args := []string{"--cluster", "create"}
	for range 3 {
		// The bus of a node has a separate port, by default ten thousand above the port of the
		// node: the default port may be taken, or invalid.
		_, bus, _ := net.SplitHostPort(freeAddress(t))
		n := Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", bus)
		c.nodes = append(c.nodes, n)
		args = append(args, n.addr)
	}
	out, err := exec.Command(find(t, "redis-cli", "redis-tools"), append(args, "--cluster-yes")...).CombinedOutput()
	if err != nil {
		t.Fatalf("redis-cli %v: %v\n%s", args, err, out)
	}
	for _, n := range c.nodes {
		promtest.Eventually(t, "a cluster in which every node knows all slots", func() bool {
			info, err := n.cli("cluster", "info")
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3")
		})
	}
	return c
}

// URL is a location on the cluster.
func (c *Cluster) URL(parameters string) string {
	return fmt.Sprintf("redis://%s?addr=%s&addr=%s&%s", c.nodes[0].addr, c.nodes[1].addr, c.nodes[2].addr, parameters)
}

// Sentinel is a master with a replica, watched by a sentinel.
type Sentinel struct {
	Master, Replica *Server
	sentinel        *Server
}

// masterSet is the sentinel's name of the set.
const masterSet = "mpmetrics"

// StartSentinel starts all three. The servers end with the test.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	s := &Sentinel{Master: Start(t)}
	host, port, _ := net.SplitHostPort(s.Master.addr)
	s.Replica = Start(t, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")
	promtest.Eventually(t, "a replica that has everything", func() bool {
		info, err := s.Replica.cli("info", "replication")
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
	s.sentinel = &Server{t: t, addr: freeAddress(t), dir: t.TempDir()}
	_, own, _ := net.SplitHostPort(s.sentinel.addr)
	path := s.sentinel.dir + "/sentinel.conf" // the sentinel writes its state there
	conf := fmt.Sprintf("bind %s\nport %s\ndir %s\nsentinel monitor %s %s %s 1\nsentinel down-after-milliseconds %s 300\nsentinel failover-timeout %s 2000\n",
		host, own, s.sentinel.dir, masterSet, host, port, masterSet, masterSet)
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s.sentinel.run(exec.Command(find(t, "redis-sentinel", "redis-sentinel"), path))
	t.Cleanup(func() {
		s.sentinel.Kill()
		if t.Failed() {
			t.Logf("redis-sentinel:\n%s", &s.sentinel.log)
		}
	})
	promtest.Eventually(t, "a sentinel that knows the replica", func() bool {
		info, err := s.sentinel.cli("sentinel", "replicas", masterSet)
		return err == nil && strings.Contains(info, s.Replica.addr)
	})
	return s
}

// URL is a location on the current master.
func (s *Sentinel) URL(parameters string) string {
	return fmt.Sprintf("redis://%s/0?master_set=%s&%s", s.sentinel.addr, masterSet, parameters)
}

// Failover kills the master and waits until the replica is the master.
func (s *Sentinel) Failover() {
	s.Master.t.Helper()
	s.Master.Kill()
	promtest.Eventually(s.Master.t, "a replica that became the master", func() bool {
		info, err := s.Replica.cli("info", "replication")
		return err == nil && strings.Contains(info, "role:master")
	})
}
