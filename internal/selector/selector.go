// Package selector reads the series selectors of PromQL:
//
//	name
//	name{label="value", other!="value", path=~"/a.*", method!~"GET|PUT"}
//	{"name that needs quotes", "label too"="value"}
//
// Prometheus's own parser depends on the whole of Prometheus. Package selector takes the same
// selectors, and selects the same series (a test in fuzz/prometheus compares both), with two
// exceptions: a selector may match every series, and U+FFFD is text.
package selector

import (
	"fmt"
	"regexp"
	"strings"
)

// NameLabel is the label with the name of a series.
const NameLabel = "__name__"

// Selector selects series.
type Selector struct {
	text     string
	matchers []matcher
}

// matcher is one condition.
type matcher struct {
	label    string
	negative bool
	value    string
	regexp   *regexp.Regexp // nil: compare with value
}

func (m *matcher) matches(v string) bool {
	if m.regexp != nil {
		return m.regexp.MatchString(v) != m.negative
	}
	return (v == m.value) != m.negative
}

// Matches reports whether the selector matches a series. label returns the value of a label, ""
// for a missing label: PromQL makes no difference.
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

// Name returns the name in the selector, "" if the selector may match several names.
func (s *Selector) Name() string {
	for _, m := range s.matchers {
		if m.label == NameLabel && m.regexp == nil && !m.negative {
			return m.value
		}
	}
	return ""
}

// String returns the parsed text.
func (s *Selector) String() string { return s.text }

// Error describes a mistake in a selector, and its position.
type Error struct {
	Text     string // of the selector
	Position int    // in Text, in bytes
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
