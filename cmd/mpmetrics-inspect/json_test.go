package main

import (
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Each field of each document is described.
func TestJSONIsDescribed(t *testing.T) {
	b, err := os.ReadFile("../../docs/inspect-json.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(x reflect.Type) {
		switch x.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(x.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[x] || x == reflect.TypeFor[time.Time]() {
			return
		}
		seen[x] = true
		for i := range x.NumField() {
			f := x.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.Anonymous && (name == "" || !strings.Contains(text, "`"+name+"`")) {
				t.Errorf("field %s of %s, %q, is not described", f.Name, x.Name(), name)
			}
			walk(f.Type)
		}
	}
	for _, d := range []any{
		jsonList{}, jsonDetail{}, jsonGet{}, jsonDump{}, jsonMoment{}, jsonDiff{}, jsonCheck{}, jsonDoctor{}, jsonCardinality{}, jsonAbsorption{}, jsonRepair{},
	} {
		walk(reflect.TypeOf(d))
	}
}

// Numbers that JSON does not have come back.
func TestJSONNumber(t *testing.T) {
	for _, v := range []float64{0, 1.5, -3, 1e300, math.Inf(+1), math.Inf(-1), math.NaN()} {
		b, err := json.Marshal(jsonNumber(v))
		if err != nil {
			t.Fatal(err)
		}
		var got jsonNumber
		if err := json.Unmarshal(b, &got); err != nil || float64(got) != v && !math.IsNaN(v) || math.IsNaN(v) != math.IsNaN(float64(got)) {
			t.Errorf("%v is %s, and comes back as %v: %v", v, b, got, err)
		}
	}
}
