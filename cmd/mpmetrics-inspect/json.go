package main

import (
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// jsonVersion is the version of all JSON from the command; docs/inspect-json.md describes the
// JSON. New fields keep the version; a changed or removed field makes a new version.
const jsonVersion = 1

// document begins every JSON document.
type document struct {
	Version   int       `json:"version"`
	Kind      string    `json:"kind"` // the verb
	Time      time.Time `json:"time"`
	Directory string    `json:"directory,omitempty"`
}

func documentOf(kind string, s *inspect.Survey) document {
	return document{Version: jsonVersion, Kind: kind, Time: s.Time.UTC(), Directory: s.Directory}
}

func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// jsonNumber is a float64. "NaN", "+Inf" and "-Inf" are texts, because JSON has no such numbers.
type jsonNumber float64

// MarshalJSON implements json.Marshaler.
func (n jsonNumber) MarshalJSON() ([]byte, error) {
	v := float64(n)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return json.Marshal(inspect.FormatNumber(v))
	}
	return json.Marshal(v)
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *jsonNumber) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = jsonNumber(v)
	return err
}

// jsonTime is a time, or nothing.
func jsonTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

type jsonProcess struct {
	State         string     `json:"state"`
	File          string     `json:"file"`
	PID           int        `json:"pid"`
	ID            string     `json:"id"`
	Program       string     `json:"program"`
	Host          string     `json:"host"`
	Process       string     `json:"process"`
	Started       *time.Time `json:"started"`
	AgeSeconds    *float64   `json:"age_seconds"`
	Families      int        `json:"families"`
	Series        int        `json:"series"`
	Mirrored      int        `json:"mirrored_series"`
	Bytes         int64      `json:"bytes"`
	FormatVersion int        `json:"format_version"`
	Reason        string     `json:"reason,omitempty"`
	Error         string     `json:"error,omitempty"`
}

func jsonProcessOf(p *inspect.Process, now time.Time) jsonProcess {
	j := jsonProcess{
		State: string(p.State), File: p.Name, PID: p.PID, ID: p.ID, Program: p.Program, Host: p.Host, Process: p.Label,
		Started: jsonTime(p.Start), Families: len(p.Definitions), Series: p.SeriesTotal(), Mirrored: p.Mirrored,
		Bytes: p.Bytes, FormatVersion: p.Format, Reason: string(p.Reason),
	}
	if !p.Start.IsZero() {
		j.AgeSeconds = new(now.Sub(p.Start).Seconds())
	}
	if p.Err != nil {
		j.Error = p.Err.Error()
	}
	return j
}

type jsonArchive struct {
	Path            string     `json:"path"`
	Exists          bool       `json:"exists"`
	Bytes           int64      `json:"bytes"`
	Series          int        `json:"series"`
	AbsorbedTotal   uint64     `json:"absorbed_processes_total"`
	IDs             int        `json:"absorbed_ids"`
	Dead            int        `json:"processes_with_samples"`
	Written         *time.Time `json:"written"`
	LastAbsorption  *time.Time `json:"last_absorption"`
	Begun           *time.Time `json:"begun"`
	Quarantined     uint64     `json:"quarantined_files_total"`
	Forgotten       uint64     `json:"forgotten_series_total"`
	Unabsorbed      uint64     `json:"unabsorbed_sums_total"`
	ArchivesAside   uint64     `json:"archives_put_aside_total"`
	FilesQuarantine int        `json:"files_in_quarantine"`
}

func jsonArchiveOf(s *inspect.Survey) jsonArchive {
	a := &s.Archive
	return jsonArchive{
		Path: a.Path, Exists: a.Exists, Bytes: a.Bytes, Series: a.Series, AbsorbedTotal: a.Absorbed, IDs: a.IDs, Dead: a.Dead,
		Written: jsonTime(a.Written), LastAbsorption: jsonTime(a.Last), Begun: jsonTime(a.Begun),
		Quarantined: a.Quarantined, Forgotten: a.Forgotten, Unabsorbed: a.Unabsorbed, ArchivesAside: a.Aside,
		FilesQuarantine: len(s.Quarantine),
	}
}

type jsonProblem struct {
	Severity string `json:"severity"`
	Subject  string `json:"subject"`
	Reason   string `json:"reason"`
	What     string `json:"what"`
	Means    string `json:"means"`
	Remedy   string `json:"remedy"`
}

func jsonProblemsOf(problems []inspect.Problem) []jsonProblem {
	all := make([]jsonProblem, 0, len(problems))
	for _, p := range problems {
		all = append(all, jsonProblem{string(p.Severity), p.Subject, p.Reason, p.What, p.Means, p.Remedy})
	}
	return all
}

func jsonLabels(labels []layout.Label) map[string]string {
	m := make(map[string]string, len(labels))
	for _, l := range labels {
		m[l.Name] = l.Value
	}
	return m
}
