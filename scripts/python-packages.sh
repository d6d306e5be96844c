#!/bin/sh
# Installs the Python packages that tests use into a virtual environment in the cache folder.
# What cannot be had makes its tests skip, by name; with CI=true that is a failure.
set -eu
cd "$(dirname "$0")/.."
venv="${XDG_CACHE_HOME:-$HOME/.cache}/sealpool/python"
stamp="$venv/.requirements"
cmp -s test/python/requirements.txt "$stamp" && exit 0
command -v python3 >/dev/null || { echo "== no python3 here: the tests that need it will be skipped"; exit 0; }
echo "== Python packages of tests"
log=$(mktemp)
if { python3 -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check -r test/python/requirements.txt; } >"$log" 2>&1; then
  cp test/python/requirements.txt "$stamp"
  rm "$log"
else
  tail -5 "$log"
  echo "they could not be installed; the tests that need them will be skipped ($log has the whole log)"
fi
