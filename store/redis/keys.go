package redis

import "github.com/mpmetrics/mpmetrics/internal/layout"

// All keys of a namespace have one hash tag, so that a cluster keeps them in one
// place and a script may use any of them:
//
//	{mpmetrics:NAMESPACE}:processes    sorted set: id by the end of its life, milliseconds of the server's clock
//	{mpmetrics:NAMESPACE}:sequences    hash: id to its last sequence
//	{mpmetrics:NAMESPACE}:archive      hash: what the dead have counted (package archive has the fields), and
//	                                   epoch, another one when it was lost, and generation, another one when it was replaced
//	{mpmetrics:NAMESPACE}:aside        hash: an archive that was damaged, for 15 days
//	{mpmetrics:NAMESPACE}:ID:header    hash: header record, start, sequence, which of the other hashes there are, the
//	                                   epoch of the archive with its bases, and taken when it was absorbed or put aside
//	{mpmetrics:NAMESPACE}:ID:families  hash: number to family record
//	{mpmetrics:NAMESPACE}:ID:series    hash: block to its series
//	{mpmetrics:NAMESPACE}:ID:values    hash: block to its values, and families of collectors that are not ours by name
//
// Records and blocks are those of package layout. The last four stay for an hour after
// they were absorbed, for a process that was only stopped: nothing else ever expires,
// and nothing stays of a process but its part of the archive.
type keys struct{ tag string }

func keysOf(namespace string) keys { return keys{"{mpmetrics:" + namespace + "}:"} }

func (k keys) processes() string { return k.tag + "processes" }
func (k keys) sequences() string { return k.tag + "sequences" }
func (k keys) archive() string   { return k.tag + "archive" }
func (k keys) aside() string     { return k.tag + "aside" }
func (k keys) values(id layout.ID) string {
	return k.tag + id.String() + ":values"
}

// partition are the keys of a partition, in the order in which scripts take them.
func (k keys) partition(id layout.ID) []string {
	of := k.tag + id.String()
	return []string{of + ":header", of + ":families", of + ":series", of + ":values"}
}
