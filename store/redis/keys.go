package redis

import "github.com/mpmetrics/mpmetrics/internal/layout"

// All keys of a namespace have one hash tag, so that a cluster keeps them in one place and a
// script may use any of the keys:
//
//	{mpmetrics:NAMESPACE}:processes    sorted set: id by end of life, in ms of the server's clock
//	{mpmetrics:NAMESPACE}:sequences    hash: id to its last sequence
//	{mpmetrics:NAMESPACE}:archive      hash: fields of package archive; epoch, new after a loss;
//	                                   generation, new after a replacement
//	{mpmetrics:NAMESPACE}:aside        hash: a damaged archive, for 15 days
//	{mpmetrics:NAMESPACE}:ID:header    hash: header record, start, sequence, which of the other
//	                                   hashes exist, epoch of the archive with the bases, and
//	                                   taken, after the partition was absorbed or put aside
//	{mpmetrics:NAMESPACE}:ID:families  hash: number to family record
//	{mpmetrics:NAMESPACE}:ID:series    hash: block to its series
//	{mpmetrics:NAMESPACE}:ID:values    hash: block to its values, and foreign families by name
//
// Package layout defines the records and blocks. The last four keys stay for an hour after an
// absorption, because the process may only have been stopped, and for 15 days after the partition
// was put aside. Apart from aside, no other key ever expires, and nothing else stays of a process
// but its part of the archive.
type keys struct{ tag string }

func keysOf(namespace string) keys { return keys{"{mpmetrics:" + namespace + "}:"} }

func (k keys) processes() string { return k.tag + "processes" }
func (k keys) sequences() string { return k.tag + "sequences" }
func (k keys) archive() string   { return k.tag + "archive" }
func (k keys) aside() string     { return k.tag + "aside" }
func (k keys) values(id layout.ID) string {
	return k.tag + id.String() + ":values"
}

// partition returns the keys of a partition, in the order of the scripts.
func (k keys) partition(id layout.ID) []string {
	of := k.tag + id.String()
	return []string{of + ":header", of + ":families", of + ":series", of + ":values"}
}
