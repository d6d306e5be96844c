#!/bin/sh
# Makes the runner image (agent, Node, prover) from what is on this machine:
#   runner-image/build-runner-image.sh NODE [TAG [TAR [AGENT [PROVER]]]]
# NODE is the program that goes in (22.12 or newer), AGENT defaults to bin/sealpool-agent.mjs (`make agent`), PROVER to
# bin/sealpool-prover (`make prover`), TAG to sealpool-runner:latest; with TAR the image is also written to that file,
# which a control plane hands out to hosts without Node. No network is used.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { echo "usage: $0 NODE [TAG [TAR [AGENT [PROVER]]]]" >&2; exit 2; }
node=$1
tag=${2:-localhost/sealpool-runner:latest}
tar=${3:-}
agent=${4:-$here/../bin/sealpool-agent.mjs}
prover=${5:-$here/../bin/sealpool-prover}
podman=${PODMAN:-podman}
certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}

[ -x "$node" ] || { echo "$node is not there; name a Node program" >&2; exit 1; }
[ -r "$agent" ] || { echo "$agent is not there; run make agent first" >&2; exit 1; }
[ -x "$prover" ] || { echo "$prover is not there; run make prover first" >&2; exit 1; }
[ -r "$certificates" ] || { echo "$certificates is not there; install ca-certificates, or name a file with SSL_CERT_FILE" >&2; exit 1; }
command -v "$podman" >/dev/null || { echo "podman is missing; install it (apt-get install podman)" >&2; exit 1; }

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
root=$context/root
mkdir -p "$root/data" "$root/tmp" "$root/etc/ssl/certs"
chmod 1777 "$root/tmp"
# A new volume takes over whose folder it was.
chmod 0777 "$root/data"
"$here/lay-out.sh" "$node" "$root" /opt/sealpool/node
"$here/lay-out.sh" "$prover" "$root" /opt/sealpool/sealpool-prover
cp -L "$agent" "$root/opt/sealpool/agent.mjs"
cp -L "$certificates" "$root/etc/ssl/certs/ca-certificates.crt"
chmod 0644 "$root/opt/sealpool/agent.mjs" "$root/etc/ssl/certs/ca-certificates.crt"
"$podman" build --quiet --file "$here/Containerfile.runner" --tag "$tag" "$context"
[ -z "$tar" ] || { "$podman" save --quiet --output "$tar.new" "$tag" && mv "$tar.new" "$tar"; }
