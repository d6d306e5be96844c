#!/bin/sh
# Builds the Go programs that tests use into the cache folder: versitygw, the second S3 server (two minutes of one core).
# What cannot be had makes its tests skip, by name; with CI=true that is a failure.
set -eu
version=v1.8.0
bin="${XDG_CACHE_HOME:-$HOME/.cache}/sealpool/go/bin"
stamp="$bin/.versitygw-$version"
[ -e "$stamp" ] && exit 0
go=$(command -v go || echo /usr/local/go/bin/go)
[ -x "$go" ] || { echo "== no Go here: the tests that need versitygw will be skipped"; exit 0; }
echo "== versitygw $version (once, a few minutes)"
log=$(mktemp)
if GOBIN="$bin" "$go" install "github.com/versity/versitygw/cmd/versitygw@$version" >"$log" 2>&1; then
  touch "$stamp"
  rm "$log"
else
  tail -5 "$log"
  echo "it could not be built; the tests that need it will be skipped ($log has the whole log)"
fi
