module github.com/mpmetrics/mpmetrics

go 1.26.0
