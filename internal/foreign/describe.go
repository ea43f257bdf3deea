package foreign

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Describe returns the descriptors of a collector.
func Describe(c prometheus.Collector) (descs []*prometheus.Desc) {
	ch := make(chan *prometheus.Desc)
	go func() {
		defer close(ch)
		c.Describe(ch)
	}()
	for d := range ch {
		descs = append(descs, d)
	}
	return descs
}

// Identity is equal for the descriptors of two collectors only if a registry takes both for the
// same collector. A wrapped collector is another object each time.
func Identity(descs []*prometheus.Desc) string {
	all := make([]string, 0, len(descs))
	for _, d := range descs {
		all = append(all, d.String())
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// namesOf returns the names of the families of a collector, for an error: at most a few names,
// and a word for a collector that describes nothing.
func namesOf(descs []*prometheus.Desc) string {
	const most = 3
	var names []string
	for _, d := range descs {
		if name := textOf(d).name; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	switch n := len(names); {
	case n == 0:
		return "a collector without descriptors"
	case n > most:
		return fmt.Sprintf("the collector of %s and %d other families", strings.Join(names[:most], ", "), n-most)
	}
	return "the collector of " + strings.Join(names, ", ")
}

// descText is the part of a descriptor that belongs to the family.
type descText struct{ name, help, unit string }

// textOf returns name, help and unit of a descriptor. client_golang shows them in the text of the
// descriptor only.
func textOf(d *prometheus.Desc) (t descText) {
	rest := d.String()
	for _, field := range []struct {
		before string
		into   *string
	}{{"Desc{fqName: ", &t.name}, {", help: ", &t.help}, {", unit: ", &t.unit}} {
		rest = strings.TrimPrefix(rest, field.before)
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return descText{name: d.String()}
		}
		*field.into, _ = strconv.Unquote(quoted) // never fails for a quoted prefix
		rest = rest[len(quoted):]
	}
	return t
}
