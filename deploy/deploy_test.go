// Package deploy tests the files of this folder: nothing of it is Go.
package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"

	"github.com/mpmetrics/mpmetrics/internal/testing/promserver"
)

func run(t *testing.T, program string, arguments ...string) {
	t.Helper()
	if out, err := exec.Command(promserver.FindTool(t, program), arguments...).CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", program, strings.Join(arguments, " "), err, out)
	}
}

func TestRules(t *testing.T) {
	run(t, "promtool", "check", "rules", "prometheus/rules.yml")
	run(t, "promtool", "test", "rules", "prometheus/rules_test.yml")
}

// dashboard is what the test needs of a Grafana dashboard.
type dashboard struct {
	Panels []struct {
		Title   string `json:"title"`
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
}

// Each query of the dashboard is one that Prometheus understands.
func TestDashboard(t *testing.T) {
	text := read(t, "grafana/mpmetrics.json")
	var d dashboard
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			expr, err := json.Marshal(strings.NewReplacer("$job", ".*", "$__rate_interval", "1m").Replace(target.Expr))
			if err != nil {
				t.Fatal(err)
			}
			rules.WriteString("  - record: dashboard:x\n    labels: {panel: " + string(must(json.Marshal(p.Title+target.Expr))) + "}\n    expr: " + string(expr) + "\n")
		}
	}
	path := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(path, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "promtool", "check", "rules", path)
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var metricName = regexp.MustCompile(`\bmpmetrics_[a-z_]+`)

// What alerts and the dashboard ask for is in the README's table of metrics, and so is there.
func TestMetricsAreDocumented(t *testing.T) {
	documented := metricName.FindAllString(read(t, "../README.md"), -1)
	for _, path := range []string{"prometheus/rules.yml", "prometheus/rules_test.yml", "grafana/mpmetrics.json"} {
		text := regexp.MustCompile(`job:\w+:\w+`).ReplaceAllString(read(t, path), "")
		for _, name := range metricName.FindAllString(text, -1) {
			if !slices.Contains(documented, name) {
				t.Errorf("%s: %s is not in the README", path, name)
			}
		}
	}
}

// The manifests are YAML whose containers share one directory, in memory, and are not root.
func TestKubernetes(t *testing.T) {
	for path, group := range map[string]bool{"kubernetes/one-uid.yaml": false, "kubernetes/two-uids.yaml": true} {
		var m struct {
			Spec struct {
				Template struct {
					Spec struct {
						SecurityContext map[string]any `yaml:"securityContext"`
						Volumes         []struct {
							Name     string            `yaml:"name"`
							EmptyDir map[string]string `yaml:"emptyDir"`
						} `yaml:"volumes"`
						InitContainers []container `yaml:"initContainers"`
						Containers     []container `yaml:"containers"`
					} `yaml:"spec"`
				} `yaml:"template"`
			} `yaml:"spec"`
		}
		if err := yaml.Unmarshal([]byte(read(t, path)), &m); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		pod := m.Spec.Template.Spec
		if pod.SecurityContext["runAsNonRoot"] != true || len(pod.Volumes) != 1 || pod.Volumes[0].EmptyDir["medium"] != "Memory" {
			t.Errorf("%s: %+v", path, pod)
		}
		if group != (pod.SecurityContext["fsGroup"] != nil) {
			t.Errorf("%s: fsGroup %v", path, pod.SecurityContext["fsGroup"])
		}
		for _, c := range append(pod.InitContainers, pod.Containers...) {
			shared := slices.ContainsFunc(c.Env, func(e variable) bool { return e.Name == "MPMETRICS_GROUP_SHARED" && e.Value == "1" })
			dir := slices.IndexFunc(c.Env, func(e variable) bool { return e.Name == "MPMETRICS_DIR" })
			if dir < 0 || len(c.VolumeMounts) != 1 || c.VolumeMounts[0].MountPath != c.Env[dir].Value || shared != group {
				t.Errorf("%s: container %+v", path, c)
			}
		}
		if len(pod.InitContainers) != 1 || pod.InitContainers[0].RestartPolicy != "Always" || pod.InitContainers[0].Args[0] != "serve" {
			t.Errorf("%s: no native sidecar: %+v", path, pod.InitContainers)
		}
	}
}

type container struct {
	Name          string   `yaml:"name"`
	RestartPolicy string   `yaml:"restartPolicy"`
	Args          []string `yaml:"args"`
	Env           []variable
	VolumeMounts  []struct {
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type variable struct{ Name, Value string }

// The units keep the directory when one of them ends.
func TestUnits(t *testing.T) {
	for _, path := range []string{"systemd/mpmetrics-inspect.service", "systemd/shop@.service"} {
		text := read(t, path)
		for _, line := range []string{"User=shop", "Environment=MPMETRICS_DIR=/run/shop", "RuntimeDirectory=shop", "RuntimeDirectoryPreserve=yes"} {
			if !strings.Contains(text, "\n"+line+"\n") {
				t.Errorf("%s lacks %s", path, line)
			}
		}
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		return // where there is no systemd, nothing reads units
	}
	out, _ := exec.Command("systemd-analyze", "verify", "systemd/mpmetrics-inspect.service").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "mpmetrics-inspect.service") && strings.Contains(line, "Unknown") {
			t.Error(line)
		}
	}
}

// The release file is YAML, and builds what the README says that there is.
func TestRelease(t *testing.T) {
	var r struct {
		Version int
		Builds  []struct {
			Main string
			Goos []string
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "../.goreleaser.yml")), &r); err != nil {
		t.Fatal(err)
	}
	if r.Version != 2 || len(r.Builds) != 1 || !slices.Contains(r.Builds[0].Goos, "linux") {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(filepath.Join("..", r.Builds[0].Main, "main.go")); err != nil {
		t.Error(err)
	}
}
