// Bench measures mpmetrics side by side with client_golang and prints a table of both, their ratio, and the target.
//
//	make bench             # in the folder above: eight minutes; writes bench/RESULTS.md and the plots
//	make bench SHORT=1     # two minutes; prints only
//	go test -bench=NewSeries .
//
// The benchmarks are ordinary ones, in the tests of this package. What this program adds is the order: all of them
// run once in each round, both libraries of a pair next to each other, and rounds follow each other until there are
// enough. A machine that has other things to do slows both of a pair, and the ratio within a round is worth more than
// times of different minutes. The raw lines are left for benchstat:
//
//	go tool benchstat -col /lib ../.cache/bench.txt
package main
