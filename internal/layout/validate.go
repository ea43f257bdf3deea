package layout

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
)

// ProcessLabel is the label with the process of a sample of an All or LiveAll gauge.
const ProcessLabel = "process"

// ReservedPrefix begins the names of the metrics about mpmetrics.
const ReservedPrefix = "mpmetrics_"

// Validate checks that the family can be exposed. Any program may have written a file, so Validate
// checks each rule of client_golang for a new metric, and two rules that client_golang lacks. A
// single metric that no parser reads would cost the whole scrape.
func (f *Family) Validate() error {
	if err := f.validateSizes(); err != nil {
		return err
	}
	if !model.UTF8Validation.IsValidMetricName(f.Name) {
		return fmt.Errorf("metric name %q is not valid: %w", f.Name, ErrDamaged)
	}
	if strings.Contains(f.Name, "\x00") {
		return fmt.Errorf("metric name %q has a NUL, which ends a scrape for Prometheus: %w", f.Name, ErrDamaged)
	}
	if !utf8.ValidString(f.Help) || !utf8.ValidString(f.Unit) {
		return fmt.Errorf("family %q: help or unit is not UTF-8: %w", f.Name, ErrDamaged)
	}
	if f.Type < Counter || f.Type > NativeHistogram {
		return fmt.Errorf("family %q: unknown %v: %w", f.Name, f.Type, ErrDamaged)
	}
	needs, may := f.Type == Gauge || f.Type == Untyped, f.Type == Counter
	if f.Mode.Valid() && !needs && !may || f.Mode == 0 && needs || f.Mode != 0 && !f.Mode.Valid() {
		return fmt.Errorf("family %q: %v with %v: %w", f.Name, f.Type, f.Mode, ErrDamaged)
	}
	if err := f.validateLabels(); err != nil {
		return fmt.Errorf("family %q: %w: %w", f.Name, err, ErrDamaged)
	}
	if !f.Type.Bucketed() && len(f.Bounds) > 0 {
		return fmt.Errorf("family %q: %v with %d buckets: %w", f.Name, f.Type, len(f.Bounds), ErrDamaged)
	}
	for i, v := range f.Bounds {
		if math.IsNaN(v) || math.IsInf(v, +1) || i > 0 && v <= f.Bounds[i-1] {
			return fmt.Errorf("family %q: bucket bound %d is %v, want ascending and below +Inf: %w", f.Name, i, v, ErrDamaged)
		}
	}
	return nil
}

// validateSizes comes first: after the check every name fits into an error text.
func (f *Family) validateSizes() error {
	check := func(what, text string, limit int) error {
		if len(text) > limit {
			return fmt.Errorf("family %.100q: %s of %d bytes, at most %d are supported: %w", f.Name, what, len(text), limit, ErrDamaged)
		}
		return nil
	}
	errs := []error{
		check("name", f.Name, MaxNameBytes),
		check("unit", f.Unit, MaxNameBytes),
		check("help", f.Help, MaxHelpBytes),
	}
	for _, n := range f.LabelNames {
		errs = append(errs, check("label name", n, MaxNameBytes))
	}
	for _, l := range f.ConstLabels {
		errs = append(errs, check("label name", l.Name, MaxNameBytes), check("const label value", l.Value, MaxLabelBytes))
	}
	return cmp.Or(errs...)
}

func (f *Family) validateLabels() error {
	seen := make(map[string]bool, len(f.LabelNames)+len(f.ConstLabels))
	check := func(name string) error {
		switch {
		case !model.UTF8Validation.IsValidLabelName(name) || len(name) >= 2 && name[:2] == model.ReservedLabelPrefix:
			return fmt.Errorf("label name %q is not valid", name)
		case strings.Contains(name, "\x00"):
			return fmt.Errorf("label name %q has a NUL, which ends a scrape for Prometheus", name)
		case strings.Contains(name, ":"):
			// Encoders take a label with a colon for the name of a metric, and write the label
			// without quotes, with or without escaping.
			return fmt.Errorf("label name %q has a colon, with which it is written so that no parser reads it", name)
		case f.Type.Bucketed() && name == model.BucketLabel, f.Type == Summary && name == model.QuantileLabel:
			return fmt.Errorf("label %q belongs to the %v itself", name, f.Type)
		case f.Mode.PerProcess() && name == ProcessLabel:
			return fmt.Errorf("label %q belongs to gauges of mode %v itself", name, f.Mode)
		case seen[name]:
			return fmt.Errorf("label %q twice", name)
		}
		seen[name] = true
		return nil
	}
	for _, n := range f.LabelNames {
		if err := check(n); err != nil {
			return err
		}
	}
	for _, l := range f.ConstLabels {
		if err := check(l.Name); err != nil {
			return err
		}
		if !utf8.ValidString(l.Value) {
			return fmt.Errorf("value of const label %q is not UTF-8", l.Name)
		}
	}
	return nil
}

// Validate checks that a series fits its family.
func (s *Series) Validate(f *Family) error { return f.validateValues(s.Values) }

func (f *Family) validateValues(values []string) error {
	if len(values) != len(f.LabelNames) {
		return fmt.Errorf("series of %q has %d label values, want %d: %w", f.Name, len(values), len(f.LabelNames), ErrDamaged)
	}
	for i, v := range values {
		if !utf8.ValidString(v) {
			return fmt.Errorf("series of %q: value of label %q is not UTF-8: %w", f.Name, f.LabelNames[i], ErrDamaged)
		}
	}
	return nil
}
