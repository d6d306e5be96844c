#!/bin/sh
# Some versions of npm leave the bin of an optional package unlinked when another platform's has the same name;
# the tools' first lines look for `node` there.
set -eu
cd "$(dirname "$0")/../node_modules"
[ -x .bin/node ] && exit 0
for node in node-linux-*/bin/node; do
  [ -x "$node" ] && ln -s "../$node" .bin/node
done
exit 0
