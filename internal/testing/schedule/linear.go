package schedule

import "fmt"

// Op is an operation of a thread.
type Op struct {
	Name          string
	begin, finish int
	// Apply applies the operation to a state. Apply returns false if the result of the operation is
	// another than that of the state.
	Apply func(state []float64) ([]float64, bool)
}

// History are the operations of one schedule.
type History struct {
	ops   []*Op
	clock int
}

// Do runs an operation. do returns how the operation changes the state.
func (h *History) Do(name string, do func() func([]float64) ([]float64, bool)) {
	h.clock++
	o := &Op{Name: name, begin: h.clock}
	h.ops = append(h.ops, o)
	o.Apply = do()
	h.clock++
	o.finish = h.clock
}

// Check reports whether the history is linearizable: in some order of all operations, which keeps the
// order of operations that did not overlap, each operation has its result.
func (h *History) Check(state []float64) error {
	if h.order(state, make([]bool, len(h.ops)), len(h.ops)) {
		return nil
	}
	text := ""
	for _, o := range h.ops {
		text += fmt.Sprintf(" %s [%d,%d]", o.Name, o.begin, o.finish)
	}
	return fmt.Errorf("no order of the operations has these results:%s", text)
}

func (h *History) order(state []float64, used []bool, left int) bool {
	if left == 0 {
		return true
	}
	for i, o := range h.ops {
		if used[i] || h.waits(o, used) {
			continue
		}
		after, ok := o.Apply(state)
		if !ok {
			continue
		}
		used[i] = true
		if h.order(after, used, left-1) {
			return true
		}
		used[i] = false
	}
	return false
}

// waits reports whether an operation that is not used yet had returned before o began.
func (h *History) waits(o *Op, used []bool) bool {
	for i, other := range h.ops {
		if !used[i] && other.finish < o.begin {
			return true
		}
	}
	return false
}
