//go:build unix

package redis_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy stands between processes and a server, and does to commands that write what
// networks, and clients that try again, do at their worst. It cuts both streams into
// commands and answers.
type proxy struct {
	t      testing.TB
	ln     net.Listener
	server string
	faulty atomic.Bool
	fates  [fates]atomic.Int64 // how often each was met

	mu    sync.Mutex
	conns map[net.Conn]bool
	late  []late
}

// late is a command that is on its way for as long as it takes so many others.
type late struct {
	command []byte
	others  int
}

// The fates of a command that writes.
const (
	answered  = iota
	unheard   // it is carried out, and the answer is lost with the connection
	repeated  // it is carried out twice
	postponed // the connection is lost before, and it is carried out after later ones
	slow
	fates
)

func newProxy(t testing.TB, server string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, ln: ln, server: server, conns: map[net.Conn]bool{}}
	t.Cleanup(p.close)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) url(parameters string) string {
	return "redis://" + p.ln.Addr().String() + "/0?" + parameters
}

func (p *proxy) close() {
	_ = p.ln.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) fate() int {
	if !p.faulty.Load() {
		return answered
	}
	switch n := rand.IntN(100); {
	case n < 5:
		return unheard
	case n < 10:
		return repeated
	case n < 13:
		return postponed
	case n < 18:
		return slow
	}
	return answered
}

// serve passes on what comes in on a connection, command by command.
func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	p.conns[client] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, client)
	}()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	commands, answers := bufio.NewReader(client), bufio.NewReader(server)
	for {
		name, command, err := readCommand(commands)
		if err != nil {
			return
		}
		fate := answered
		if name == "EVALSHA" || name == "EVAL" || name == "HINCRBYFLOAT" {
			fate = p.fate()
			p.fates[fate].Add(1)
			p.deliver(server, answers)
		}
		if fate == postponed {
			p.mu.Lock()
			p.late = append(p.late, late{command, 1 + rand.IntN(50)})
			p.mu.Unlock()
			return
		}
		if fate == slow {
			time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond) // the fault itself
		}
		answer, err := exchange(server, answers, command)
		if err == nil && fate == repeated {
			_, err = exchange(server, answers, command)
		}
		if err != nil || fate == unheard {
			return
		}
		if _, err := client.Write(answer); err != nil {
			return
		}
	}
}

// deliver carries out what is late enough, in front of the next command.
func (p *proxy) deliver(server net.Conn, answers *bufio.Reader) {
	p.mu.Lock()
	var due [][]byte
	rest := p.late[:0]
	for _, l := range p.late {
		if l.others--; l.others <= 0 {
			due = append(due, l.command)
		} else {
			rest = append(rest, l)
		}
	}
	p.late = rest
	p.mu.Unlock()
	for _, command := range due {
		if _, err := exchange(server, answers, command); err != nil {
			return
		}
	}
}

func exchange(server net.Conn, answers *bufio.Reader, command []byte) ([]byte, error) {
	if _, err := server.Write(command); err != nil {
		return nil, err
	}
	var answer bytes.Buffer
	err := readAnswer(answers, &answer)
	return answer.Bytes(), err
}

// readCommand reads a command: an array of strings.
func readCommand(r *bufio.Reader) (name string, command []byte, err error) {
	var b bytes.Buffer
	if err := readAnswer(r, &b); err != nil {
		return "", nil, err
	}
	parts := strings.SplitN(b.String(), "\r\n", 4)
	if len(parts) < 4 || parts[0][0] != '*' {
		return "", nil, fmt.Errorf("not a command: %.50q", b.String())
	}
	return strings.ToUpper(parts[2]), b.Bytes(), nil
}

// readAnswer copies one answer of RESP2 or RESP3, with all that it consists of.
func readAnswer(r *bufio.Reader, to *bytes.Buffer) error {
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	to.WriteString(line)
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:])) // what is not a number has no parts
	switch line[0] {
	case '$', '=', '!':
		if n >= 0 {
			_, err = io.CopyN(to, r, int64(n)+2)
		}
		return err
	case '%', '|':
		n *= 2
	case '*', '~', '>':
	default:
		return nil
	}
	for range n {
		if err := readAnswer(r, to); err != nil {
			return err
		}
	}
	if line[0] == '|' || line[0] == '>' {
		return readAnswer(r, to) // what it is said of, or the answer that it came before
	}
	return nil
}
