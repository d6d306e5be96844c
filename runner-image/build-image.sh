#!/bin/sh
# Makes the prover's CPU image from a program that is built already:
#   runner-image/build-image.sh [PROGRAM [TAG [TAR]]]
# PROGRAM defaults to bin/sealpool-prover (`make prover`), TAG to sealpool-prover:cpu; with TAR the
# image is also written to that file, for machines without a registry. No network is used.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=${1:-$here/../bin/sealpool-prover}
tag=${2:-sealpool-prover:cpu}
tar=${3:-}
podman=${PODMAN:-podman}

[ -x "$program" ] || { echo "$program is not there; run make prover first" >&2; exit 1; }
command -v "$podman" >/dev/null || { echo "podman is missing; install it (apt-get install podman)" >&2; exit 1; }

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
root=$context/root
mkdir -p "$root/work" "$root/cache" "$root/tmp"
chmod 1777 "$root/tmp"
cp -L "$program" "$root/sealpool-prover"
# Every library at the path where the loader looks for it; the loader itself is among them.
ldd "$program" | sed -n 's/.*=> \(\/[^ ]*\) (.*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
# A program that lacks a library must not become an image: it would fail on somebody else's machine.
if ldd "$program" | grep -q 'not found'; then
  echo "$program needs libraries that are not here: $(ldd "$program" | grep 'not found'); install them" >&2
  exit 1
fi
"$podman" build --quiet --file "$here/Containerfile" --tag "$tag" "$context"
[ -z "$tar" ] || "$podman" save --quiet --output "$tar" "$tag"
