#!/usr/bin/env bash
# Builds influxd 2.7.12 from its Go module into a cache folder outside the checkout and prints the path.
# Needs: go, cargo (rustup), a C compiler, protoc. A machine builds it once (about 6 minutes on 2 cores).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=2.7.12
cache=${DUTYROOM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dutyroom-servers}
target="$cache/influxd-$version"
if [ -x "$target" ]; then echo "$target"; exit 0; fi
for tool in go cargo cc protoc clang; do
  command -v "$tool" >/dev/null || { echo "building InfluxDB needs $tool, which is not on the path" >&2; exit 1; }
done
mkdir -p "$cache"
work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
export GOFLAGS=-mod=mod RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-stable}
cp "$here/go.mod" "$work/"
[ -f "$here/go.sum" ] && cp "$here/go.sum" "$work/"
cd "$work"
# A current rustc makes old lints errors; RUSTFLAGS does not reach build dependencies, a wrapper does.
printf '#!/bin/sh\nexec "$@" --cap-lints warn\n' > rustc-wrapper
chmod +x rustc-wrapper
export RUSTC_WRAPPER="$work/rustc-wrapper"
go build -o "$work/pkg-config" github.com/influxdata/pkg-config >&2
PKG_CONFIG="$work/pkg-config" go build -o "$work/influxd" -tags sqlite_foreign_keys,sqlite_json \
  github.com/influxdata/influxdb/v2/cmd/influxd >&2
[ -n "${KEEP_GO_SUM:-}" ] && cp go.sum "$here/go.sum"
mv "$work/influxd" "$target"
echo "$target"
