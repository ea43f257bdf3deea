package store

import (
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// counted is a family of one counter, as a registry gathers it.
func counted(v float64, begun time.Time) []*dto.MetricFamily {
	return []*dto.MetricFamily{{
		Name: new("c_total"), Type: dto.MetricType_COUNTER.Enum(),
		Metric: []*dto.Metric{{Counter: &dto.Counter{Value: new(v), CreatedTimestamp: timestamppb.New(begun)}}},
	}}
}

func shownOf(t *testing.T, families []*dto.MetricFamily) *dto.Counter {
	t.Helper()
	if len(families) != 1 || len(families[0].Metric) != 1 {
		t.Fatalf("%v, want one counter", families)
	}
	return families[0].Metric[0].Counter
}

// What is carried began when the first of its collectors did: with a later start
// timestamp it would be counted once more.
func TestCarriedKeepsItsBeginning(t *testing.T) {
	c, first := carried{}, time.Unix(1, 0)
	c.carry(counted(5, first), false)
	got := shownOf(t, c.carry(counted(1, time.Unix(9, 0)), false))
	if got.GetValue() != 6 || !got.CreatedTimestamp.AsTime().Equal(first) {
		t.Errorf("%v since %v, want 6 since %v", got.GetValue(), got.CreatedTimestamp.AsTime(), first)
	}
}

// A process that was forked begins at zero: what its collectors have is the
// parent's.
func TestCarriedOfAParent(t *testing.T) {
	c, before := carried{}, time.Now()
	got := shownOf(t, c.carry(counted(5, time.Unix(1, 0)), true))
	if got.GetValue() != 0 || got.CreatedTimestamp.AsTime().Before(before) {
		t.Errorf("%v since %v, want nothing since the fork", got.GetValue(), got.CreatedTimestamp.AsTime())
	}
	if got := shownOf(t, c.carry(counted(7, time.Unix(1, 0)), false)); got.GetValue() != 2 {
		t.Errorf("%v, want the 2 that were counted here", got.GetValue())
	}
	if got := shownOf(t, c.carry(nil, false)); got.GetValue() != 2 {
		t.Errorf("%v once the collector is gone, want 2", got.GetValue())
	}
}
