package main

import (
	"io"
	"regexp"
	"testing"
)

func TestListIsWellFormed(t *testing.T) {
	list, err := readExpected(expectedText)
	if err != nil || len(list) == 0 {
		t.Fatalf("%d entries, error %v", len(list), err)
	}
}

func TestLineThatIsNoEntry(t *testing.T) {
	for _, text := range []string{
		"reason panic no pattern",
		"reason panic /(/ text",
		"s TestA memory panic",
		"reason panic /x/ text\ns TestA somewhere panic",
		"reason panic /x/ text\ns TestA memory panic\ns TestA memory,directory panic",
	} {
		if list, err := readExpected(text); err == nil {
			t.Errorf("%q gives %v", text, list)
		}
	}
}

func TestSurprises(t *testing.T) {
	const text = `reason panic /boom/ a reason
s TestDiffers memory,registerer? panic
s TestUnusable memory panic`
	list, err := readExpected(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		results   []result
		surprises int
	}{
		{"passes", []result{{name: "TestA", mode: "memory"}}, 0},
		{"fails without an entry", []result{{name: "TestA", mode: "memory", outcome: failed}}, 1},
		{"fails without an entry for the mode", []result{{name: "TestDiffers", mode: "directory", outcome: failed, output: "boom"}}, 1},
		{"fails alone too", []result{{name: "TestA", mode: alone, outcome: failed}, {name: "TestA", mode: "memory", outcome: failed}}, 0},
		{"skips alone too", []result{{name: "TestA", mode: alone, outcome: skipped}, {name: "TestA", mode: "memory", outcome: skipped}}, 0},
		{"skips with mpmetrics", []result{{name: "TestA", mode: alone}, {name: "TestA", mode: "memory", outcome: skipped}}, 1},
		{"differs", []result{{name: "TestDiffers", mode: "memory", outcome: failed, output: "boom"}}, 0},
		{"differs for another reason", []result{{name: "TestDiffers", mode: "memory", outcome: failed, output: "bang"}}, 1},
		{"differs no longer", []result{{name: "TestDiffers", mode: "memory"}}, 1},
		{"differs at times", []result{{name: "TestDiffers", mode: "registerer"}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReport(io.Discard, list, false)
			for _, one := range c.results {
				one.suite = "s"
				r.add(one)
			}
			if r.surprises != c.surprises {
				t.Errorf("%d surprises, want %d", r.surprises, c.surprises)
			}
		})
	}
}

func TestEntryOfNoTest(t *testing.T) {
	list, err := readExpected("reason panic /boom/ a reason\ns TestA memory panic\ns TestB memory panic\nelsewhere TestC memory panic")
	if err != nil {
		t.Fatal(err)
	}
	r := newReport(io.Discard, list, false)
	r.add(result{suite: "s", name: "TestA", mode: "memory", outcome: failed, output: "boom"})
	r.checkList([]suite{{name: "s"}}, regexp.MustCompile(""))
	if r.surprises != 1 {
		t.Errorf("%d surprises, want 1: TestB", r.surprises)
	}
}
