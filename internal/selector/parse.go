package selector

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Parse reads a selector. Errors are of type *Error.
func Parse(text string) (*Selector, error) {
	p := &parser{text: text}
	s := &Selector{text: text}
	if at := notUTF8(text); at >= 0 {
		return nil, p.errorf(at, "want text, not bytes that are not UTF-8")
	}
	p.space()
	start := p.at
	p.name = p.identifier(true)
	if p.name != "" {
		if keywords[strings.ToLower(p.name)] {
			return nil, p.errorf(start, "PromQL has another meaning for %s; as a name the word stands in quotes: {%q}", p.name, p.name)
		}
		s.matchers = append(s.matchers, matcher{label: NameLabel, value: p.name})
		p.space()
	}
	switch {
	case p.rest() == "" && len(s.matchers) == 0:
		return nil, p.errorf(p.at, "empty; want a name such as shop_orders_total, or labels in braces")
	case p.rest() == "":
		return s, nil
	case !p.take("{"):
		return nil, p.errorf(p.at, "want { or the end, not %s%s", p.next(), p.quotedName())
	}
	if err := p.braces(s); err != nil {
		return nil, err
	}
	p.space()
	if p.rest() != "" {
		return nil, p.errorf(p.at, "want the end, not %s: only a selector, without functions, ranges and offsets", p.next())
	}
	return s, nil
}

// keywords are the words of PromQL that are no names without quotes, in lower case. The other words
// of PromQL, such as sum and by, are names too.
var keywords = map[string]bool{
	"on": true, "ignoring": true, "group_left": true, "group_right": true,
	"bool": true, "atan2": true, "inf": true, "nan": true,
}

// parser is a position in a text.
type parser struct {
	text string
	at   int
	name string // before the braces; empty: none
}

func (p *parser) rest() string { return p.text[p.at:] }

func (p *parser) errorf(at int, format string, args ...any) error {
	return &Error{Text: p.text, Position: at, Message: fmt.Sprintf(format, args...)}
}

// quotedName returns a hint for a text that looks like a name with other characters than letters,
// digits, "_" and ":", such as the dots of OpenTelemetry; "" for another text.
func (p *parser) quotedName() string {
	name := strings.TrimSpace(p.text)
	if strings.ContainsAny(name, " \t\n\r{}()[]\"'`=~!<>@,*+%^") || !utf8.ValidString(name) {
		return ""
	}
	return fmt.Sprintf("; a name with such a character stands in quotes: {%q}", name)
}

// next describes the character at the position, for an error.
func (p *parser) next() string {
	r, n := utf8.DecodeRuneInString(p.rest())
	if n == 0 {
		return "the end"
	}
	return strconv.QuoteRune(r)
}

// notUTF8 returns the place of the first byte that is not UTF-8, -1 if there is none.
func notUTF8(text string) int {
	for at, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[at:], string(utf8.RuneError)) {
			return at
		}
	}
	return -1
}

// space skips space, and comments up to the end of their line.
func (p *parser) space() {
	for {
		p.at = len(p.text) - len(strings.TrimLeft(p.rest(), " \t\n\r"))
		if !p.take("#") {
			return
		}
		if end := strings.IndexAny(p.rest(), "\n\r"); end >= 0 {
			p.at += end
		} else {
			p.at = len(p.text)
		}
	}
}

func (p *parser) take(token string) bool {
	if !strings.HasPrefix(p.rest(), token) {
		return false
	}
	p.at += len(token)
	return true
}

// identifier takes a name without quotes: of a metric, possibly with colons, or of a label.
// identifier returns "" if no name follows.
func (p *parser) identifier(metric bool) string {
	n := 0
	for n < len(p.rest()) {
		c := p.rest()[n]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || metric && c == ':'
		if !letter && (n == 0 || c < '0' || c > '9') {
			break
		}
		n++
	}
	p.at += n
	return p.text[p.at-n : p.at]
}

// braces takes the conditions up to the closing brace.
func (p *parser) braces(s *Selector) error {
	for {
		p.space()
		if p.take("}") {
			return nil
		}
		if err := p.condition(s); err != nil {
			return err
		}
		p.space()
		if !p.take(",") && !strings.HasPrefix(p.rest(), "}") {
			return p.errorf(p.at, "want , or }, not %s", p.next())
		}
	}
}

// condition takes one condition, or a name in quotes.
func (p *parser) condition(s *Selector) error {
	start := p.at
	label, quoted := p.identifier(false), false
	if label == "" {
		if !p.quote() {
			return p.errorf(p.at, "want the name of a label, not %s", p.next())
		}
		var err error
		if label, err = p.string(); err != nil {
			return err
		}
		quoted = true
	}
	p.space()
	if quoted && (strings.HasPrefix(p.rest(), ",") || strings.HasPrefix(p.rest(), "}")) {
		return p.add(s, start, matcher{label: NameLabel, value: label})
	}
	m := matcher{label: label}
	expression := false
	switch {
	case p.take("=~"):
		expression = true
	case p.take("!~"):
		expression, m.negative = true, true
	case p.take("!="):
		m.negative = true
	case p.take("="):
	default:
		return p.errorf(p.at, "want =, !=, =~ or !~ after the label %q, not %s", label, p.next())
	}
	p.space()
	at := p.at
	if !p.quote() {
		return p.errorf(p.at, "want a value in quotes, not %s", p.next())
	}
	var err error
	m.value, err = p.string()
	if err != nil {
		return err
	}
	// By escapes such as \xff a value may be a text that is no expression for package regexp.
	text := !utf8.ValidString(m.value) && regexp.QuoteMeta(m.value) == m.value
	if expression && !text {
		m.regexp, err = compile(m.value)
		if err != nil {
			return p.errorf(at, "bad expression `%s`: %s", m.value, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	}
	return p.add(s, start, m)
}

// compile compiles an expression as PromQL does: anchored, and a dot is any character. The expression
// is parsed alone, because ")(" is an expression inside other parentheses, and \Q would quote what
// follows.
func compile(text string) (*regexp.Regexp, error) {
	parsed, err := syntax.Parse(text, syntax.Perl|syntax.DotNL)
	if err != nil {
		return nil, err
	}
	return regexp.Compile(`\A(?:` + parsed.String() + `)\z`)
}

func (p *parser) add(s *Selector, at int, m matcher) error {
	if m.label == NameLabel && p.name != "" {
		return p.errorf(at, "the name is given twice: %q and %q", p.name, m.value)
	}
	s.matchers = append(s.matchers, m)
	return nil
}

func (p *parser) quote() bool {
	return p.rest() != "" && strings.IndexByte("\"'`", p.rest()[0]) >= 0
}

// string takes a text in quotes.
func (p *parser) string() (string, error) {
	start := p.at
	quote := p.text[p.at]
	p.at++
	if quote == '`' {
		text, _, found := strings.Cut(p.rest(), "`")
		if !found {
			return "", p.errorf(start, "the quotes are not closed")
		}
		p.at += len(text) + 1
		return text, nil
	}
	var b []byte
	for {
		if p.rest() == "" || p.rest()[0] == '\n' {
			return "", p.errorf(start, "the quotes are not closed")
		}
		if p.take(string(quote)) {
			return string(b), nil
		}
		r, multibyte, tail, err := strconv.UnquoteChar(p.rest(), quote)
		if err != nil {
			return "", p.errorf(p.at, "bad escape; a \\ is written \\\\")
		}
		if r < utf8.RuneSelf || multibyte {
			b = utf8.AppendRune(b, r)
		} else {
			b = append(b, byte(r)) // \xff: one byte
		}
		p.at = len(p.text) - len(tail)
	}
}
