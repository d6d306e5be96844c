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
"$here/lay-out.sh" "$program" "$root" /sealpool-prover
"$podman" build --quiet --file "$here/Containerfile" --tag "$tag" "$context"
[ -z "$tar" ] || "$podman" save --quiet --output "$tar" "$tag"
