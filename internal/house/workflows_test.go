package house

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"
)

// A workflow is a workflow of .github/workflows, as far as the test reads one.
type workflow struct {
	Name string
	Jobs map[string]struct {
		RunsOn string `yaml:"runs-on"`
		Steps  []struct{ Run, Uses string }
	}
}

// A command of a workflow is a make target with variables, or a script with arguments. Other
// logic stands in the Makefile and in scripts, where a developer can run it.
var command = regexp.MustCompile(`^(?:make ([a-z0-9]+)( [A-Z]+=[\w.]+)*|\./(scripts/\w+\.sh)( [\w./=-]+)*)$`)

// target is a line of the Makefile that begins a target.
var target = regexp.MustCompile(`(?m)^([a-z0-9]+):`)

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestWorkflowsRunTargets(t *testing.T) {
	top := root(t)
	makefile, err := os.ReadFile(filepath.Join(top, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, m := range target.FindAllStringSubmatch(string(makefile), -1) {
		targets[m[1]] = true
	}
	files, err := filepath.Glob(filepath.Join(top, ".github", "workflows", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d workflows, error %v", len(files), err)
	}
	for _, file := range files {
		var w workflow
		readYAML(t, file, &w)
		name := filepath.Base(file)
		if w.Name == "" || len(w.Jobs) == 0 {
			t.Errorf("%s: name %q with %d jobs", name, w.Name, len(w.Jobs))
		}
		runs := 0
		for job, j := range w.Jobs {
			if j.RunsOn == "" {
				t.Errorf("%s: job %s runs nowhere", name, job)
			}
			for _, s := range j.Steps {
				if (s.Run == "") == (s.Uses == "") {
					t.Errorf("%s: a step of %s runs %q and uses %q, want one of them", name, job, s.Run, s.Uses)
				}
				if s.Run == "" {
					continue
				}
				runs++
				m := command.FindStringSubmatch(s.Run)
				switch {
				case m == nil:
					t.Errorf("%s: job %s runs %q: want a make target or a script", name, job, s.Run)
				case m[1] != "" && !targets[m[1]]:
					t.Errorf("%s: job %s: no target %s in the Makefile", name, job, m[1])
				case m[3] != "":
					if _, err := os.Stat(filepath.Join(top, m[3])); err != nil {
						t.Errorf("%s: job %s: %v", name, job, err)
					}
				}
			}
		}
		if runs == 0 {
			t.Errorf("%s runs nothing", name)
		}
	}
}

// TestDependabotKnowsModules compares the directories of dependabot.yml with the modules.
func TestDependabotKnowsModules(t *testing.T) {
	top := root(t)
	var config struct {
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directories []string
		}
	}
	readYAML(t, filepath.Join(top, ".github", "dependabot.yml"), &config)
	var want, got []string
	for _, path := range files(t, "go.mod") {
		want = append(want, strings.TrimSuffix("/"+filepath.ToSlash(filepath.Dir(path)), "."))
	}
	for _, u := range config.Updates {
		if u.Ecosystem == "gomod" {
			got = append(got, u.Directories...)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("directories of modules: got %v, want %v", got, want)
	}
}
