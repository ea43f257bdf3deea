package inspect

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// stateOrder is the order of processes in a list: counting processes first.
var stateOrder = []State{Live, Locked, Dead, Archived, Gone, Unreadable, Damaged, Refused}

func compareProcesses(a, b *Process) int {
	return cmp.Or(
		cmp.Compare(slices.Index(stateOrder, a.State), slices.Index(stateOrder, b.State)),
		a.Start.Compare(b.Start),
		strings.Compare(a.Name, b.Name),
	)
}

func sortProcesses(all []*Process) { slices.SortFunc(all, compareProcesses) }

// errorPath is the path in an error.
func errorPath(err error) (string, bool) {
	path, ok := errors.AsType[*fs.PathError](err)
	if !ok {
		return "", false
	}
	return path.Path, true
}
