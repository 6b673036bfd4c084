// A tool-only module: it pins the Telegraf that bench_ingest drains a queue with beside us. Nothing of the
// product is written in Go.
module telegraf-bench

go 1.26

require github.com/influxdata/telegraf v1.37.2
