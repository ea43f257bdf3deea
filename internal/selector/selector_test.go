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
		{`{"shop_orders_total",__name__=~"shop_.*"}`, true},
		{`{"shop_orders_total","shop_orders_total"}`, true},
		{`{"shop_orders_total","other"}`, false},
		{"shop_orders_total # a comment", true},
		{"# a comment {\nshop_orders_total{ # another one\n payment=\"card\" }", true},
		{`{payment!="#"}`, true},
		{`{payment=~"\\Qcard"}`, true},
		{`{payment=~"\\Qca"}`, false},
		{"{payment!=\"\ufffd\"}", true},
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
		`{"x",__name__!="y"}`:   "x",
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
		{selector: ``, at: 0, message: `empty; want a name`},
		{selector: `  `, at: 2, message: `empty; want a name`},
		{selector: `9a`, at: 0, message: `want { or the end, not '9'`},
		{selector: `größe`, at: 2, message: `want { or the end, not 'ö'`},
		{selector: `http.server.requests`, at: 4, message: `want { or the end, not '.'; a name with such a character stands in quotes: {"http.server.requests"}`},
		{selector: ` disk/use `, at: 5, message: `stands in quotes: {"disk/use"}`},
		{selector: `größe`, at: 2, message: `stands in quotes: {"größe"}`},
		{selector: `a b`, at: 2, message: `want { or the end, not 'b'`},
		{selector: `a{b="c"} offset 5m`, at: 9, message: `without functions, ranges and offsets`},
		{selector: `a{b="c"}[5m]`, at: 8, message: `want the end, not '['`},
		{selector: `rate(a)`, at: 4, message: `want { or the end, not '('`},
		{selector: `a{`, at: 2, message: `want the name of a label, not the end`},
		{selector: `a{b`, at: 3, message: `want =, !=, =~ or !~ after the label "b", not the end`},
		{selector: `a{b:c="x"}`, at: 3, message: `want =, !=, =~ or !~ after the label "b", not ':'`},
		{selector: `a{b==""}`, at: 4, message: `want a value in quotes, not '='`},
		{selector: `a{b=c}`, at: 4, message: `want a value in quotes, not 'c'`},
		{selector: `a{b="c}`, at: 4, message: `the quotes are not closed`},
		{selector: "a{b=`c}", at: 4, message: `the quotes are not closed`},
		{selector: "a{b=\"c\nd\"}", at: 4, message: `the quotes are not closed`},
		{selector: `a{b="\d"}`, at: 5, message: `bad escape`},
		{selector: `a{b=~"("}`, at: 5, message: "bad expression `(`: missing closing )"},
		{selector: `a{b=~")("}`, at: 5, message: "bad expression `)(`: unexpected )"},
		{selector: `a{b="c" d="e"}`, at: 8, message: `want , or }, not 'd'`},
		{selector: `a{,}`, at: 2, message: `want the name of a label, not ','`},
		{selector: `a{"b"}`, at: 2, message: `the name is given twice: "a" and "b"`},
		{selector: `a{__name__=~"b"}`, at: 2, message: `the name is given twice`},
		{selector: `inf`, at: 0, message: `PromQL has another meaning for inf; as a name the word stands in quotes: {"inf"}`},
		{selector: ` ON{a="b"}`, at: 1, message: `stands in quotes: {"ON"}`},
		{selector: "a{b=\"c\xff\"}", at: 6, message: `bytes that are not UTF-8`},
		{selector: `a{__name__="b"}`, at: 2, message: `the name is given twice`},
		{selector: "a{\xff", at: 2, message: `bytes that are not UTF-8`},
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
