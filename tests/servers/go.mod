// A tool-only module: it pins the servers that the contract tests build when no
// installed one is found. Nothing of the product is written in Go.
module servers

go 1.26

require (
	github.com/influxdata/influxdb/v2 v2.7.12
	github.com/influxdata/pkg-config v0.2.14
)
