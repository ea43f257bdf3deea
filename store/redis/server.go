package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/remote"
)

// asideFor is how long damaged data is kept, for an operator.
const asideFor = 15 * 24 * time.Hour

// server implements remote.Server.
type server struct {
	keys    keys
	options valkey.ClientOption
	log     *slog.Logger

	mu     sync.Mutex // held while connecting
	client valkey.Client
	closed bool
}

func open(u *url.URL, log *slog.Logger) (remote.Server, error) {
	namespace, options, err := parse(u)
	if err != nil {
		return nil, err
	}
	return &server{keys: keysOf(namespace), options: options, log: log}, nil
}

// connected returns the client, and connects if there is none.
func (s *server) connected() (valkey.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("%w: closed", remote.ErrUnreachable)
	}
	if s.client == nil {
		c, err := valkey.NewClient(s.options)
		if err != nil {
			return nil, unreachable("connect", err)
		}
		s.client = c
		go s.warn(c)
	}
	return s.client, nil
}

// unreachable marks an error of the client or the server.
func unreachable(what string, err error) error {
	hint := ""
	switch text := err.Error(); {
	case strings.HasPrefix(text, "NOPERM"):
		hint = "; the user lacks rights; the documentation of store/redis lists the rights"
	case strings.HasPrefix(text, "OOM"):
		hint = "; raise maxmemory"
	case strings.HasPrefix(text, "WRONGPASS"), strings.HasPrefix(text, "NOAUTH"):
		hint = "; put user and password into the location"
	}
	return fmt.Errorf("%s: %w: %w%s", what, remote.ErrUnreachable, err, hint)
}

// Update implements remote.Server.
func (s *server) Update(ctx context.Context, updates []remote.Update) ([]remote.Reply, error) {
	c, err := s.connected()
	if err != nil {
		return nil, err
	}
	calls := make([]call, len(updates))
	for i, u := range updates {
		calls[i] = s.update(&u)
	}
	replies := make([]remote.Reply, len(updates))
	for i, r := range updateScript.run(ctx, c, calls) {
		answer, err := r.ToArray()
		if err != nil || len(answer) != 3 {
			return nil, unreachable("update", orMalformed(err))
		}
		status, err := answer[0].ToString()
		epoch, epochErr := answer[1].ToString()
		seq, seqErr := answer[2].AsInt64()
		if err := errors.Join(err, epochErr, seqErr); err != nil {
			return nil, unreachable("update", err)
		}
		replies[i] = remote.Reply{Status: statuses[status], Epoch: epoch, Seq: uint64(seq)}
	}
	return replies, nil
}

var errMalformed = errors.New("malformed answer")

func orMalformed(err error) error {
	if err == nil {
		return errMalformed
	}
	return err
}

var statuses = map[string]remote.Status{
	"written": remote.Written, "late": remote.Late, "absorbed": remote.Absorbed, "lost": remote.Lost,
}

func (s *server) update(u *remote.Update) call {
	header, former, base := "", "", ""
	if u.Begin != nil {
		header = string(u.Begin.Encode())
	}
	if u.Former != (layout.ID{}) {
		former = remote.SamplesField(u.Former)
	}
	if u.Base != (layout.ID{}) {
		base = remote.AbsorbedField(u.Base)
	}
	args := []string{
		u.ID.String(), decimal(u.Seq), decimal(u.After), flags(u.Hashes[:]...), strconv.FormatInt(u.Live.Milliseconds(), 10),
		layout.NewID().String(), header, former, u.Epoch, remote.AbsorbedField(u.ID), base, u.Instead.String(), flags(u.Based), u.Absorption,
		strconv.Itoa(len(u.Families)), strconv.Itoa(len(u.Series)), strconv.Itoa(len(u.Values)), strconv.Itoa(len(u.Remove)),
	}
	for _, hash := range []map[string]string{u.Families, u.Series, u.Values} {
		for field, value := range hash {
			args = append(args, field, value)
		}
	}
	args = append(args, u.Remove...)
	keys := append([]string{s.keys.processes(), s.keys.sequences(), s.keys.archive()}, s.keys.partition(u.ID)...)
	if u.Instead != (layout.ID{}) {
		keys = append(keys, s.keys.partition(u.Instead)...)
	}
	return call{keys, args}
}

func flags(all ...bool) string {
	text := make([]byte, len(all))
	for i, set := range all {
		text[i] = '0'
		if set {
			text[i] = '1'
		}
	}
	return string(text)
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// Look implements remote.Server. The values come after the list, and so are not older. The epoch
// and generation of the archive come once more after the values.
func (s *server) Look(ctx context.Context, values []layout.ID) (*remote.State, error) {
	c, err := s.connected()
	if err != nil {
		return nil, err
	}
	results := s.look(ctx, c, lookScript.known, values)
	if unknown(results[0]) {
		results = s.look(ctx, c, lookScript.whole, values)
	}
	state, err := stateOf(results[0])
	if err != nil {
		return nil, unreachable("look", err)
	}
	state.Values = make(map[layout.ID]map[string]string, len(values))
	for i, id := range values {
		state.Values[id], err = results[1+i].AsStrMap()
		if err != nil && !notHash(err) {
			return nil, unreachable("look", err)
		}
	}
	if len(values) > 0 {
		epoch, generation, err := archiveHead(results[len(results)-1])
		if err != nil {
			return nil, unreachable("look", err)
		}
		state.Stable = epoch == state.Epoch && generation == state.Generation
	}
	return state, nil
}

// look is one pipeline.
func (s *server) look(ctx context.Context, c valkey.Client, list func(valkey.Client, call) valkey.Completed, values []layout.ID) []valkey.ValkeyResult {
	commands := valkey.Commands{list(c, call{keys: []string{s.keys.processes(), s.keys.sequences(), s.keys.archive()}})}
	for _, id := range values {
		commands = append(commands, c.B().Hgetall().Key(s.keys.values(id)).Build())
	}
	if len(values) > 0 {
		commands = append(commands, c.B().Hmget().Key(s.keys.archive()).Field("epoch", "generation").Build())
	}
	return c.DoMulti(ctx, commands...)
}

// stateOf reads the answer of the script.
func stateOf(r valkey.ValkeyResult) (*remote.State, error) {
	answer, err := r.ToArray()
	if err != nil || len(answer) != 4 {
		return nil, orMalformed(err)
	}
	var parts [4][]string
	for i := range parts {
		parts[i], err = answer[i].AsStrSlice()
		if err != nil {
			return nil, err
		}
	}
	now, archive, processes := parts[0], parts[1], parts[2]
	if len(now) != 2 || len(archive) != 2 || len(processes)%2 != 0 {
		return nil, errMalformed
	}
	seconds, _ := strconv.ParseInt(now[0], 10, 64)
	micro, _ := strconv.ParseInt(now[1], 10, 64)
	state := &remote.State{Now: time.Unix(seconds, micro*1000), Epoch: archive[0], Generation: archive[1], Stable: true}
	sequences := pairs(parts[3])
	for i := 0; i < len(processes); i += 2 {
		id, err := layout.ParseID(processes[i])
		if err != nil {
			continue // foreign
		}
		ends, _ := strconv.ParseFloat(processes[i+1], 64)
		seq, _ := strconv.ParseUint(sequences[processes[i]], 10, 64)
		state.Partitions = append(state.Partitions, remote.Partition{ID: id, Live: ends > float64(state.Now.UnixMilli()), Seq: seq})
	}
	return state, nil
}

// notHash reports whether another program has replaced a hash by another type. A replaced hash
// damages one partition, and is no trouble with the server.
func notHash(err error) bool { return err != nil && strings.Contains(err.Error(), "WRONGTYPE") }

func archiveHead(r valkey.ValkeyResult) (epoch, generation string, err error) {
	answer, err := r.ToArray()
	if err != nil || len(answer) != 2 {
		return "", "", orMalformed(err)
	}
	epoch, err = answer[0].ToString()
	if valkey.IsValkeyNil(err) {
		return "", "", nil // no process has published anything
	}
	if err != nil {
		return "", "", err
	}
	generation, _ = answer[1].ToString()
	return epoch, generation, nil
}

// Read implements remote.Server.
func (s *server) Read(ctx context.Context, reads []remote.Read) ([]remote.Content, error) {
	c, err := s.connected()
	if err != nil {
		return nil, err
	}
	calls := make([]call, len(reads))
	for i, r := range reads {
		args := []string{remote.AbsorbedField(r.ID), "header"}
		switch {
		case r.Whole:
			args[1] = "whole"
		case r.Blocks != nil:
			args[1] = "blocks"
			args = append(args, r.Blocks...)
		}
		calls[i] = call{append(s.keys.partition(r.ID), s.keys.archive()), args}
	}
	contents := make([]remote.Content, len(reads))
	for i, r := range readScript.run(ctx, c, calls) {
		contents[i], err = contentOf(r)
		if notHash(err) {
			contents[i], err = remote.Content{Header: "not a hash"}, nil
		}
		if err != nil {
			return nil, unreachable("read partition", err)
		}
	}
	return contents, nil
}

func contentOf(r valkey.ValkeyResult) (c remote.Content, err error) {
	answer, err := r.ToArray()
	if err != nil || len(answer) != 9 {
		return c, orMalformed(err)
	}
	var head [6]string
	for i := range head {
		head[i], err = answer[i].ToString()
		if err != nil {
			return c, err
		}
	}
	c.Header, c.Taken, c.Absorption = head[0], head[3] == "1", head[4]
	c.Lacks, c.Stale = head[5] == "1", head[5] == "2"
	c.Start, _ = strconv.ParseInt(head[1], 10, 64)
	c.Seq, _ = strconv.ParseUint(head[2], 10, 64)
	for i, hash := range []*map[string]string{&c.Families, &c.Series, &c.Values} {
		*hash, err = mapOf(&answer[len(head)+i])
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// mapOf makes a hash of names and contents in turns: a script has no other.
func mapOf(m *valkey.ValkeyMessage) (map[string]string, error) {
	all, err := m.AsStrSlice()
	return pairs(all), err
}

func pairs(all []string) map[string]string {
	hash := make(map[string]string, len(all)/2)
	for i := 0; i+1 < len(all); i += 2 {
		hash[all[i]] = all[i+1]
	}
	return hash
}

// Archive implements remote.Server.
func (s *server) Archive(ctx context.Context) (*remote.Archive, error) {
	c, err := s.connected()
	if err != nil {
		return nil, err
	}
	fields, err := c.Do(ctx, c.B().Hgetall().Key(s.keys.archive()).Build()).AsStrMap()
	if err != nil {
		return nil, unreachable("read archive", err)
	}
	a := &remote.Archive{Generation: fields["generation"], Fields: fields}
	delete(fields, "epoch")
	delete(fields, "generation")
	return a, nil
}

// Replace implements remote.Server.
func (s *server) Replace(ctx context.Context, r remote.Replacement) error {
	c, err := s.connected()
	if err != nil {
		return err
	}
	keys := []string{s.keys.processes(), s.keys.sequences(), s.keys.archive(), s.keys.aside()}
	aside := ""
	if r.Anew != "" {
		aside = strconv.FormatInt(asideFor.Milliseconds(), 10)
	}
	args := []string{
		r.Epoch, r.Generation, r.Next, r.Anew, strconv.FormatInt(r.Keep.Milliseconds(), 10), aside,
		strconv.Itoa(len(r.Absorbed)), strconv.Itoa(len(r.Set)), strconv.Itoa(len(r.Remove)),
	}
	for _, p := range r.Absorbed {
		keys = append(keys, s.keys.partition(p.ID)...)
		args = append(args, p.ID.String(), decimal(p.Seq))
	}
	for field, value := range r.Set {
		args = append(args, field, value)
	}
	args = append(args, r.Remove...)
	changed, err := replaceScript.run(ctx, c, []call{{keys, args}})[0].ToString()
	if err != nil {
		return unreachable("replace archive", err)
	}
	if changed != "" {
		return fmt.Errorf("%s: %w", changed, remote.ErrChanged)
	}
	return nil
}

// Discard implements remote.Server.
func (s *server) Discard(ctx context.Context, p remote.Partition, reason string) error {
	c, err := s.connected()
	if err != nil {
		return err
	}
	keys := append([]string{s.keys.processes(), s.keys.sequences()}, s.keys.partition(p.ID)...)
	args := []string{p.ID.String(), decimal(p.Seq), reason, strconv.FormatInt(asideFor.Milliseconds(), 10)}
	if err := discardScript.run(ctx, c, []call{{keys, args}})[0].Error(); err != nil {
		return unreachable("discard partition", err)
	}
	return nil
}

// Close implements remote.Server.
func (s *server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.client != nil {
		s.client.Close()
	}
}

// warned keeps a process with many stores from repeating the warning.
var warned sync.Once

// warn logs, once in a process, that the server may drop values to free memory.
func (s *server) warn(c valkey.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	info, err := c.Do(ctx, c.B().Info().Section("memory").Build()).ToString()
	if err != nil {
		return // without the right, only the warning is missing
	}
	for line := range strings.Lines(info) {
		policy, found := strings.CutPrefix(strings.TrimSpace(line), "maxmemory_policy:")
		if found && strings.HasPrefix(policy, "allkeys-") {
			warned.Do(func() {
				s.log.Warn("mpmetrics: the server drops any key when memory is short, and totals restart then; set maxmemory-policy to noeviction or volatile-ttl", "policy", policy)
			})
		}
	}
}
