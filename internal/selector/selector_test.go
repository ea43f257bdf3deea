package selector

import (
	"errors"
	"strings"
	"testing"
)

// series is a name, then labels and values.
type series []string

func (s series) label(name string) string {
	for i := 1; i < len(s); i += 2 {
		if s[i] == name {
			return s[i+1]
		}
	}
	return ""
}

func TestMatches(t *testing.T) {
	orders := series{"shop_orders_total", "payment", "card", "path", "/a/b\nc", "größe", "x\"y"}
	for _, c := range []struct {
		selector string
		want     bool
	}{
		{`shop_orders_total`, true},
		{`  shop_orders_total  `, true},
		{`shop_orders`, false},
		{`shop_orders_total{}`, true},
		{`{}`, true},
		{`shop_orders_total{payment="card"}`, true},
		{`shop_orders_total { payment = "card" , }`, true},
		{`shop_orders_total{payment="cash"}`, false},
		{`{payment="card"}`, true},
		{`{payment!="card"}`, false},
		{`{payment!="cash"}`, true},
		{`{payment=~"car"}`, false}, // anchored
		{`{payment=~"car."}`, true},
		{`{payment=~"cash|card"}`, true},
		{`{payment=~"cash|car"}`, false}, // both sides
		{`{payment!~"cash|card"}`, false},
		{`{payment!~"c"}`, true},
		{`{path=~"/a.*c"}`, true}, // a dot is a new line too
		{`{path="/a/b\nc"}`, true},
		{`{path='/a/b\nc'}`, true},
		{"{path=`/a/b\\nc`}", false}, // raw
		{`{missing=""}`, true},
		{`{missing!=""}`, false},
		{`{missing=~".*"}`, true},
		{`{missing=~".+"}`, false},
		{`{payment="card",payment!="cash"}`, true},
		{`{payment="card",path="x"}`, false},
		{`{__name__="shop_orders_total"}`, true},
		{`{__name__=~"shop_.*"}`, true},
		{`{__name__!~"shop_.*"}`, false},
		{`shop_orders_total{__name__=~"shop_.*"}`, true},
		{`{"shop_orders_total"}`, true},
		{`{"shop_orders_total",payment="card"}`, true},
		{`{payment="card","shop_orders_total"}`, true},
		{`{'größe'="x\"y"}`, true},
		{`{"größe"='x"y'}`, true},
		{`{"größe"="x\u0022y"}`, true},
		{`{"größe"="x\x22y"}`, true},
		{`{"größe"='x\'y'}`, false},
	} {
		s, err := Parse(c.selector)
		if err != nil {
			t.Errorf("%s: %v", c.selector, err)
			continue
		}
		if got := s.Matches(orders[0], orders.label); got != c.want {
			t.Errorf("%s: matches: %v, want %v", c.selector, got, c.want)
		}
		if s.String() != c.selector {
			t.Errorf("%s: String is %s", c.selector, s)
		}
	}
}

func TestName(t *testing.T) {
	for selector, want := range map[string]string{
		`a:b_c`:                 "a:b_c",
		`{"a b"}`:               "a b",
		`{__name__="x"}`:        "x",
		`{__name__=~"x"}`:       "",
		`{__name__!="x"}`:       "",
		`{a="x"}`:               "",
		`x{__name__!="y"}`:      "x",
		`{__name__!="y",a="z"}`: "",
	} {
		s, err := Parse(selector)
		if err != nil {
			t.Fatal(err)
		}
		if s.Name() != want {
			t.Errorf("%s: name %q, want %q", selector, s.Name(), want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		selector string
		at       int
		message  string
	}{
		{``, 0, `empty; want a name`},
		{`  `, 2, `empty; want a name`},
		{`9a`, 0, `want { or the end, not '9'`},
		{`größe`, 2, `want { or the end, not 'ö'`},
		{`a b`, 2, `want { or the end, not 'b'`},
		{`a{b="c"} offset 5m`, 9, `without functions, ranges and offsets`},
		{`a{b="c"}[5m]`, 8, `want the end, not '['`},
		{`rate(a)`, 4, `want { or the end, not '('`},
		{`a{`, 2, `want the name of a label, not the end`},
		{`a{b`, 3, `want =, !=, =~ or !~ after the label "b", not the end`},
		{`a{b:c="x"}`, 3, `want =, !=, =~ or !~ after the label "b", not ':'`},
		{`a{b==""}`, 4, `want a value in quotes, not '='`},
		{`a{b=c}`, 4, `want a value in quotes, not 'c'`},
		{`a{b="c}`, 4, `the quotes are not closed`},
		{"a{b=`c}", 4, `the quotes are not closed`},
		{"a{b=\"c\nd\"}", 4, `the quotes are not closed`},
		{`a{b="\d"}`, 5, `bad escape`},
		{`a{b=~"("}`, 5, "bad expression `(`: missing closing )"},
		{`a{b=~")("}`, 5, "bad expression `)(`: unexpected )"},
		{`a{b="c" d="e"}`, 8, `want , or }, not 'd'`},
		{`a{,}`, 2, `want the name of a label, not ','`},
		{`a{"b"}`, 2, `the name is given twice: "a" and "b"`},
		{`{"a","b"}`, 5, `the name is given twice: "a" and "b"`},
		{`a{__name__="b"}`, 2, `the name is given twice`},
		{"a{\xff", 2, `bytes that are not UTF-8`},
	} {
		s, err := Parse(c.selector)
		e, ok := errors.AsType[*Error](err)
		if s != nil || !ok {
			t.Errorf("%s: %v, %v", c.selector, s, err)
			continue
		}
		if e.Position != c.at || !strings.Contains(e.Message, c.message) {
			t.Errorf("%s: at %d: %s; want at %d: %s", c.selector, e.Position, e.Message, c.at, c.message)
		}
	}
	_, err := Parse(`{"größe"x}`)
	e, _ := errors.AsType[*Error](err)
	if got, want := e.Mark(), "{\"größe\"x}\n        ^"; got != want {
		t.Errorf("mark:\n%s\nwant:\n%s", got, want)
	}
	if got, want := e.Error(), `selector, character 9: want =, !=, =~ or !~ after the label "größe", not 'x'`; got != want {
		t.Errorf("error %s, want %s", got, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`a`, `a{b="c",d!~"e.*"}`, `{"a","b"='c'}`, "{a=`b`}", `{a="\u00e4\xff"}`, `{`, `a{b=~"("}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Position < 0 || e.Position > len(text) || e.Error() == "" || e.Mark() == "" {
				t.Errorf("%+v", e)
			}
			return
		}
		s.Matches("name", func(string) string { return "value" })
	})
}
