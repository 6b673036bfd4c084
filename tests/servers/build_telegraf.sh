#!/usr/bin/env bash
# Builds Telegraf 1.37.2 from its Go module into a cache folder outside the checkout and prints the path: only
# what bench_ingest runs (mqtt_consumer, JSON, InfluxDB). Needs: go. A machine builds it once (a few minutes).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=1.37.2
cache=${DUTYROOM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dutyroom-servers}
target="$cache/telegraf-$version"
if [ -x "$target" ]; then echo "$target"; exit 0; fi
command -v go >/dev/null || { echo "building Telegraf needs go, which is not on the path" >&2; exit 1; }
mkdir -p "$cache"
work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
export GOFLAGS=-mod=mod
cp "$here/telegraf/go.mod" "$work/"
cd "$work"
# `go get` and not `go mod tidy`, which would want the modules of every plugin and test.
go get "github.com/influxdata/telegraf/cmd/telegraf@v$version" >&2
tags=custom,inputs.mqtt_consumer,outputs.influxdb_v2,parsers.json,parsers.json_v2,serializers.influx
go build -o "$work/telegraf" -tags "$tags" github.com/influxdata/telegraf/cmd/telegraf >&2
mv "$work/telegraf" "$target"
echo "$target"
