// Package selector reads the series selectors of PromQL:
//
//	name
//	name{label="value", other!="value", path=~"/a.*", method!~"GET|PUT"}
//	{"name that needs quotes", "label too"="value"}
//
// Prometheus's own parser comes with the whole of Prometheus. This one does what
// the documentation of PromQL says of selectors, but for one thing: a selector may
// match every series.
package selector

import (
	"fmt"
	"regexp"
	"strings"
)

// NameLabel stands for the name of a series among its labels.
const NameLabel = "__name__"

// Selector says which series are meant.
type Selector struct {
	text     string
	matchers []matcher
}

// matcher is one condition.
type matcher struct {
	label    string
	negative bool
	value    string
	regexp   *regexp.Regexp // nil: the value itself
}

func (m *matcher) matches(v string) bool {
	if m.regexp != nil {
		return m.regexp.MatchString(v) != m.negative
	}
	return (v == m.value) != m.negative
}

// Matches reports whether a series is meant. label returns the value of a label, ""
// for one that the series does not have: to PromQL there is no difference.
func (s *Selector) Matches(name string, label func(name string) string) bool {
	for i := range s.matchers {
		m := &s.matchers[i]
		v := name
		if m.label != NameLabel {
			v = label(m.label)
		}
		if !m.matches(v) {
			return false
		}
	}
	return true
}

// Name returns the name that the selector asks for, "" if it is more than one.
func (s *Selector) Name() string {
	for _, m := range s.matchers {
		if m.label == NameLabel && m.regexp == nil && !m.negative {
			return m.value
		}
	}
	return ""
}

// String returns the text that was parsed.
func (s *Selector) String() string { return s.text }

// Error says what is wrong with a selector, and where.
type Error struct {
	Text     string // of the selector
	Position int    // in it, in bytes
	Message  string
}

func (e *Error) Error() string {
	return fmt.Sprintf("selector, character %d: %s", e.column()+1, e.Message)
}

func (e *Error) column() int { return len([]rune(e.Text[:e.Position])) }

// Mark returns the selector with a mark below the place of the error.
func (e *Error) Mark() string {
	return e.Text + "\n" + strings.Repeat(" ", e.column()) + "^"
}
