package merge

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"sort"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// model works out what actors show.
func model(actors []*actor) (values, map[string]int64) {
	// Every wording under its name, the newest first.
	type used struct {
		family *layout.Family
		key    string
		newest Process
	}
	byName := map[string][]*used{}
	sharedBounds := map[string][]*layout.Family{} // of the shares
	for _, a := range actors {
		for i, f := range a.families {
			had, has := false, false
			for _, in := range a.inputs {
				if in.Family != i {
					continue
				}
				had, has = true, has || !in.Gone && !in.Share
				if !in.Gone && in.Share {
					sharedBounds[f.Name] = append(sharedBounds[f.Name], f)
				}
			}
			if a.Live && had && !has || !a.Live && (f.Mode.Live() || !has) {
				continue // nothing of it is left to show
			}
			key := string(layout.AppendFamily(nil, 0, f))
			at := slices.IndexFunc(byName[f.Name], func(u *used) bool { return u.key == key })
			if at < 0 {
				byName[f.Name] = append(byName[f.Name], &used{family: f, key: key, newest: a.Process})
			} else if u := byName[f.Name][at]; younger(a.Process, u.newest) {
				u.newest = a.Process
			}
		}
	}
	var names []string
	for name, all := range byName {
		names = append(names, name)
		sort.Slice(all, func(i, j int) bool {
			if all[i].newest != all[j].newest {
				return younger(all[i].newest, all[j].newest)
			}
			return all[i].key < all[j].key
		})
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := byName[names[i]][0].newest, byName[names[j]][0].newest
		if a != b {
			return younger(a, b)
		}
		return names[i] < names[j]
	})
	type rule struct {
		*layout.Family           // in force
		bounds         []float64 // that all layouts share
		mixed          bool      // some layouts have other label names
	}
	var rules []rule
	taken := map[string]bool{}
	for _, name := range names {
		winner := byName[name][0].family
		var exposed []string
		switch winner.Type {
		case layout.Histogram:
			exposed = []string{name, name + "_bucket", name + "_count", name + "_sum"}
		case layout.Summary:
			exposed = []string{name, name + "_count", name + "_sum"}
		default:
			exposed = []string{name}
		}
		if slices.ContainsFunc(exposed, func(s string) bool { return taken[s] }) {
			continue
		}
		for _, s := range exposed {
			taken[s] = true
		}
		bounds := winner.Bounds
		all := sharedBounds[name]
		for _, u := range byName[name] {
			all = append(all, u.family)
		}
		mixed := false
		for _, f := range all {
			mixed = mixed || labelNames(f) != labelNames(winner)
			if f.Type == layout.Histogram && winner.Type == layout.Histogram {
				bounds = slices.DeleteFunc(slices.Clone(bounds), func(b float64) bool { return !slices.Contains(f.Bounds, b) })
			}
		}
		rules = append(rules, rule{winner, bounds, mixed})
	}
	takes := func(r rule, a *actor, in Input) bool {
		f := a.families[in.Family]
		switch {
		case f.Name != r.Name, in.Gone, f.Type != r.Type:
			return false
		case !a.Live && (r.Mode.Live() || f.Mode.Live() || r.Mode.PerProcess() && !f.Mode.PerProcess()):
			return false
		case f.Mode.Timed() != r.Mode.Timed(), f.ByMode() != r.ByMode():
			return false
		}
		return !r.Mode.PerProcess() || !slices.Contains(f.LabelNames, layout.ProcessLabel)
	}
	labels := processLabels(slices.DeleteFunc(slices.Clone(actors), func(a *actor) bool {
		return !slices.ContainsFunc(rules, func(r rule) bool {
			return r.Mode.PerProcess() && slices.ContainsFunc(a.inputs, func(in Input) bool { return !in.Share && takes(r, a, in) })
		})
	}))
	sums := map[string]*modelSum{}
	addAll := func(r rule, shares bool) {
		for _, a := range actors {
			last := map[string]func(){} // a gauge that a process made again is what it is now
			for _, in := range a.inputs {
				if in.Share != shares || !takes(r, a, in) {
					continue
				}
				f := a.families[in.Family]
				all := slices.Clone(f.ConstLabels)
				for i, v := range in.Values {
					all = append(all, layout.Label{Name: f.LabelNames[i], Value: v})
				}
				if r.mixed {
					all = slices.DeleteFunc(all, func(l layout.Label) bool { return l.Value == "" })
				}
				if r.Mode.PerProcess() {
					all = append(all, layout.Label{Name: layout.ProcessLabel, Value: labels[a]})
				}
				sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
				key := r.Name + text(all)
				if sums[key] == nil && shares {
					continue // nobody has the series
				}
				if sums[key] == nil {
					sums[key] = newModelSum(r.Family, r.bounds, in.Created)
				}
				sums[key].created = min(sums[key].created, in.Created)
				if add := func() { sums[key].add(f, a.cells[in.At:]) }; r.ByMode() {
					last[key] = add
				} else {
					add()
				}
			}
			for _, add := range last {
				add()
			}
		}
	}
	for _, r := range rules {
		addAll(r, false)
		addAll(r, true)
	}
	out, created := values{}, map[string]int64{}
	for key, s := range sums {
		s.show(key, out)
		created[key] = s.created
	}
	return out, created
}

func younger(a, b Process) bool {
	if a.Start != b.Start {
		return a.Start > b.Start
	}
	return slices.Compare(a.ID[:], b.ID[:]) > 0
}

// processLabels gives each actor its label: living first, then the older.
func processLabels(actors []*actor) map[*actor]string {
	sorted := slices.Clone(actors)
	sort.Slice(sorted, func(i, j int) bool {
		if sorted[i].Live != sorted[j].Live {
			return sorted[i].Live
		}
		return younger(sorted[j].Process, sorted[i].Process)
	})
	out, given := map[*actor]string{}, map[string]bool{}
	for _, a := range sorted {
		own := !given[a.Label]
		label := a.Label
		for n := 2; !own; n++ {
			label = fmt.Sprintf("%s-%d", a.Label, n)
			own = !given[label] && !slices.ContainsFunc(actors, func(b *actor) bool { return b.Label == label })
		}
		given[label], out[a] = true, label
	}
	return out
}

// modelSum is one series of the model.
type modelSum struct {
	family  *layout.Family
	bounds  []float64
	created int64

	whole   *big.Int
	floats  []float64 // summed exactly, in the end
	buckets []uint64
	numbers []float64 // of a gauge, set and not NaN
	times   []int64
	nan     bool
}

func newModelSum(f *layout.Family, bounds []float64, created int64) *modelSum {
	return &modelSum{family: f, bounds: bounds, created: created, whole: new(big.Int), buckets: make([]uint64, len(bounds)+1)}
}

func (s *modelSum) add(f *layout.Family, cells []uint64) {
	switch {
	case s.family.ByMode():
		v, set := layout.DecodeGauge(cells[0])
		var at int64
		if f.Mode.Timed() {
			set, v, at = cells[0] > 0, math.Float64frombits(cells[1]), int64(cells[2])
		}
		if set && math.IsNaN(v) {
			s.nan = true
		} else if set {
			s.numbers, s.times = append(s.numbers, v), append(s.times, at)
		}
	default:
		s.whole.Add(s.whole, new(big.Int).SetUint64(cells[0]))
		s.floats = append(s.floats, math.Float64frombits(cells[1]))
		if s.family.Type == layout.Histogram {
			for i, n := range cells[2 : 2+len(f.Bounds)+1] {
				to := len(s.bounds)
				if i < len(f.Bounds) {
					to = sort.SearchFloat64s(s.bounds, f.Bounds[i])
				}
				s.buckets[to] += n
			}
		}
	}
}

func (s *modelSum) show(key string, out values) {
	switch {
	case s.family.ByMode():
		out[key] = s.gauge()
	case s.family.Type == layout.Counter:
		out[key] = exactly(s.whole, s.floats)
	default:
		out[key+"_count"], out[key+"_sum"] = exactly(s.whole, nil), exactly(new(big.Int), s.floats)
		if s.family.Type == layout.Histogram {
			for i, n := range s.buckets {
				bound := math.Inf(+1)
				if i < len(s.bounds) {
					bound = s.bounds[i]
				}
				out[fmt.Sprintf("%s_le_%v", key, bound)] = float64(n)
			}
		}
	}
}

func (s *modelSum) gauge() float64 {
	n := len(s.numbers)
	if n == 0 {
		if s.nan {
			return math.NaN()
		}
		return 0
	}
	switch s.family.Mode {
	case layout.Min, layout.LiveMin:
		return slices.Min(s.numbers)
	case layout.Max, layout.LiveMax:
		return slices.Max(s.numbers)
	case layout.Sum, layout.LiveSum:
		return exactly(new(big.Int), s.numbers)
	case layout.LiveMean:
		return exactly(new(big.Int), s.numbers) / float64(n)
	case layout.MostRecent, layout.LiveMostRecent:
		best := 0
		for i := range s.numbers {
			if s.times[i] > s.times[best] || s.times[i] == s.times[best] && s.numbers[i] > s.numbers[best] {
				best = i
			}
		}
		return s.numbers[best]
	}
	return s.numbers[n-1] // of one process, given twice: the last
}

// exactly rounds the sum once.
func exactly(whole *big.Int, floats []float64) float64 {
	sum := new(big.Float).SetPrec(precision).SetInt(whole)
	special := 0.0
	for _, x := range floats {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			special += x
			continue
		}
		sum.Add(sum, bigFloat(x))
	}
	if special != 0 {
		return special
	}
	return rounded(sum)
}
