package reexec_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
)

var programs = reexec.Programs{
	"echo": func(args []string) error {
		fmt.Println("begin", strings.Join(args, " "))
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			fmt.Println(in.Text())
		}
		fmt.Println("end")
		return nil
	},
	"fail": func([]string) error { return errors.New("it has to fail") },
	"hang": func([]string) error {
		fmt.Println("one\ntwo")
		time.Sleep(time.Hour)
		return nil
	},
}

func TestMain(m *testing.M) {
	programs.Main()
	os.Exit(m.Run())
}

func TestConversation(t *testing.T) {
	p := reexec.Start(t, "echo", "a", "b")
	if got, want := p.Line(), "begin a b"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
	p.Tell("first")
	p.Tell("address=x:1")
	if got, want := p.Until("address="), "x:1"; got != want {
		t.Errorf("rest of the line %q, want %q", got, want)
	}
	p.Tell("last")
	if got, want := string(p.End()), "last\nend\n"; got != want {
		t.Errorf("rest of the output %q, want %q", got, want)
	}
	if p.Kill() != nil {
		t.Error("an ended child has output")
	}
}

func TestKill(t *testing.T) {
	p := reexec.Start(t, "hang")
	p.Line()
	if got, want := string(p.Kill()), "two\n"; got != want {
		t.Errorf("output of a killed child %q, want %q", got, want)
	}
	if p.Cmd.ProcessState.Success() {
		t.Error("the child ended with success")
	}
}

func TestErrorOfProgram(t *testing.T) {
	for program, want := range map[string]string{"fail": "fail: it has to fail\n", "missing": `no program "missing"`} {
		cmd := reexec.Command(program)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		_, err := reexec.Run(t, cmd).Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || !strings.HasPrefix(stderr.String(), want) {
			t.Errorf("%s: error %v, text %q, want %q", program, err, stderr.String(), want)
		}
	}
}

func TestChildIsKilledWithItsTest(t *testing.T) {
	var p *reexec.Process
	t.Run("inner", func(t *testing.T) {
		p = reexec.Start(t, "hang")
		p.Line()
	})
	if p.Cmd.ProcessState == nil {
		t.Error("the child outlived its test")
	}
}

func TestCommandWithOutput(t *testing.T) {
	cmd := reexec.Command("echo", "x")
	var out strings.Builder
	cmd.Stdout, cmd.Stdin = &out, strings.NewReader("y\n")
	if rest, err := reexec.Run(t, cmd).Wait(); err != nil || rest != nil {
		t.Errorf("rest %q, error %v", rest, err)
	}
	if got, want := out.String(), "begin x\ny\nend\n"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
}

func TestCommandThatDoesNotStart(t *testing.T) {
	p, err := reexec.Try(t, exec.Command(t.TempDir()+"/missing"))
	if p != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("process %v, error %v", p, err)
	}
}

func TestLog(t *testing.T) {
	p := reexec.RunLog(t, reexec.Command("fail"))
	if got, want := p.Line(), "fail: it has to fail"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}

func TestOutput(t *testing.T) {
	p := reexec.Start(t, "echo")
	p.Line()
	p.CloseInput()
	if b, err := io.ReadAll(p.Output()); err != nil || string(b) != "end\n" {
		t.Errorf("read %q, %v", b, err)
	}
}
