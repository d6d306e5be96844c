#!/bin/sh
# Prints the path of a Node that strips types by itself (22.18 or newer), or says how to get one.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
new_enough='const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 18) ? 0 : 1)'
for candidate in "$root"/node_modules/.bin/node "$root"/node_modules/node-linux-*/bin/node "$(command -v node || true)"; do
  if [ -x "$candidate" ] && "$candidate" -e "$new_enough" 2>/dev/null; then
    echo "$candidate"
    exit 0
  fi
done
echo "sealpool: no Node 22.18 or newer was found; run 'npm ci' in $root, which brings one along, or install it" >&2
exit 1
