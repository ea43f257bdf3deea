package mirror

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// A family is encoded in pieces, because most pieces are the same from look to look: the encoding of
// a message is the encodings of its fields, one after the other. The numbers are the numbers of
// the fields in the protobuf of Prometheus.
const (
	familyMetric protowire.Number = 4
	metricLabel  protowire.Number = 1
	labelName    protowire.Number = 1
	labelValue   protowire.Number = 2
)

// AppendLabels appends the labels of a metric.
func AppendLabels(b []byte, labels []layout.Label) []byte {
	for _, l := range labels {
		size := protowire.SizeTag(labelName) + protowire.SizeBytes(len(l.Name)) + protowire.SizeTag(labelValue) + protowire.SizeBytes(len(l.Value))
		b = protowire.AppendTag(b, metricLabel, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(size))
		b = protowire.AppendTag(b, labelName, protowire.BytesType)
		b = protowire.AppendString(b, l.Name)
		b = protowire.AppendTag(b, labelValue, protowire.BytesType)
		b = protowire.AppendString(b, l.Value)
	}
	return b
}

// AppendMetric appends an encoded metric to an encoded family.
func AppendMetric(b, metric []byte) []byte {
	b = protowire.AppendTag(b, familyMetric, protowire.BytesType)
	return protowire.AppendBytes(b, metric)
}
