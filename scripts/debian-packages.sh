#!/bin/sh
# Installs the Debian packages that tests use, as far as this machine allows.
# What stays missing makes its tests skip, by name; with CI=true that is a failure.
set -eu
cd "$(dirname "$0")/.."
command -v dpkg-query >/dev/null || { echo "== no Debian here: what debian-packages.txt lists must come from elsewhere"; exit 0; }
missing=
for package in $(sed 's/#.*//' debian-packages.txt); do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "== Debian packages:$missing"
if [ "$(id -u)" = 0 ]; then run=; elif sudo -n true 2>/dev/null; then run=sudo; else
  echo "not root: install them with: apt-get install$missing"
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if { $run apt-get update -qq && $run apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
  rm "$log"
else
  tail -5 "$log"
  echo "they could not be installed; the tests that need them will be skipped ($log has the whole log)"
fi
