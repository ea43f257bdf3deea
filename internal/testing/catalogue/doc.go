// Package catalogue runs the collectors of real libraries in several processes, and keeps the
// families of each library in a golden file: name, type, rule of merging, merged value where the
// value is the same in each run, and the reason of the rule.
//
//	var libraries = []catalogue.Library{{Name: "gin", Run: gin}}
//
//	func TestMain(m *testing.M)       { catalogue.Main(m, libraries) }
//	func TestLibraries(t *testing.T)  { catalogue.Test(t, libraries) }
//	func TestRulesOfAll(t *testing.T) { catalogue.TestRules(t, "testdata/*.txt") }
//
// The libraries stand in modules of their own below fuzz. `go test . -update` there writes the
// golden files anew.
package catalogue
