#!/bin/sh
# Starts a Sealpool runner on this host and keeps it running, in the foreground:
#   curl -fsSL @URL@/runner.sh | SEALPOOL_RUNNER_JOIN_TOKEN=... sh
# With Node 22.12 or newer it runs as it is, else in a container of podman or docker. What it runs comes from the
# control plane and is checked against the hashes below. What it keeps is in SEALPOOL_DATA, else in sealpool-runner of
# the home folder, else of this one; there a runner that is started again goes on as the same one. The prover keeps the
# parameters of proofs in XDG_CACHE_HOME, else in .cache of the home folder.
set -eu

url=@QUOTED_URL@
arch=@ARCH@
agent=@AGENT@
prover=@PROVER@
image=@IMAGE@

fail() {
  printf 'runner.sh: %s\n' "$1" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# get PATH FILE: fetches it from the control plane. The wget of some static busybox crashes when it is given a time limit.
get() {
  tries=0
  wait=1
  until
    if has curl; then curl -fsS --connect-timeout 20 -o "$2" "$url$1"; else wget -q -O "$2" "$url$1"; fi
  do
    tries=$((tries + 1))
    [ "$tries" -lt 6 ] || fail "$url$1 cannot be fetched; is the control plane reachable from here, and is this script its newest? Fetch the script again"
    sleep "$wait"
    wait=$((wait * 2))
  done
}

# matches FILE HASH
matches() {
  sum=$(sha256sum <"$1") && [ "${sum%% *}" = "$2" ]
}

# fetch HASH FILE: only what has the hash ever gets the name.
fetch() {
  if [ -f "$2" ] && matches "$2" "$1"; then return; fi
  rm -f "$2" "$2.part"
  get "/runner/$1" "$2.part"
  if ! matches "$2.part" "$1"; then
    rm -f "$2.part"
    fail "what $url/runner/$1 sent does not have the hash in its name; something on the way changes it, so nothing of it was run"
  fi
  mv "$2.part" "$2"
}

new_enough() {
  has node && node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) ? 0 : 1)' </dev/null 2>/dev/null
}

on_host() {
  fetch "$agent" "$data/software/agent-$agent.mjs"
  if [ -z "${SEALPOOL_PROVER:-}" ]; then
    fetch "$prover" "$data/software/prover-$prover"
    chmod 755 "$data/software/prover-$prover"
    "$data/software/prover-$prover" --version >/dev/null 2>&1 </dev/null ||
      fail "the prover does not start here; it needs glibc, and one not older than where it was built (try: $data/software/prover-$prover --version)"
  fi
  exec node "$data/software/agent-$agent.mjs" launch "$data/software/prover-$prover" </dev/null
}

in_container() {
  [ -n "$image" ] || fail "there is no Node 22.12 or newer here, and the control plane has no runner image to hand out; install Node, or make the image (make runner-image) and restart the control plane"
  fetch "$image" "$data/software/image-$image.tar"
  "$1" image inspect "localhost/sealpool-runner:$image" >/dev/null 2>&1 || {
    loaded=$("$1" load -q -i "$data/software/image-$image.tar" </dev/null) || fail "$1 cannot load the runner image; its message is above"
    "$1" tag "${loaded##*: }" "localhost/sealpool-runner:$image" || fail "$1 cannot name the runner image; its message is above"
  }
  # Stopped, it gets the time that its last uploads and reports may take.
  set -- "$1" run --rm --network=host --read-only --cap-drop=ALL --security-opt=no-new-privileges --tmpfs /tmp --stop-timeout=45 --volume "$data:/data"
  # The environment names them: a value in the arguments is seen by every user of the host.
  for name in $(env | sed -n 's/^\(SEALPOOL_[A-Z0-9_]*\)=.*/\1/p'); do
    case $name in SEALPOOL_DATA) ;; *) set -- "$@" --env "$name" ;; esac
  done
  if [ "$(id -u)" = 0 ]; then chown -R 65532:65532 "$data"; else
    case $1 in podman) set -- "$@" --userns=keep-id ;; esac
    set -- "$@" --user "$(id -u):$(id -g)"
  fi
  exec "$@" "localhost/sealpool-runner:$image" </dev/null
}

main() {
  [ "$(uname -s)" = Linux ] || fail "runners run on Linux and this is $(uname -s)"
  case $(uname -m) in
    x86_64 | amd64) here=x64 ;;
    aarch64 | arm64) here=arm64 ;;
    *) here=$(uname -m) ;;
  esac
  [ "$here" = "$arch" ] || fail "the control plane hands out software for $arch and this host is $here; use a host of that kind, or a control plane on one of this"
  has sha256sum || fail "sha256sum is missing; install coreutils (or busybox)"
  if ! has curl; then
    has wget || fail "curl is missing, and wget too; install one of them"
    case $url in https:*)
      # It would take a certificate of anybody.
      case $(wget --help 2>&1 </dev/null) in *BusyBox*) fail "this wget does not check certificates; install curl" ;; esac ;;
    esac
  fi
  umask 077
  if [ -n "${SEALPOOL_DATA:-}" ]; then data=$SEALPOOL_DATA
  elif [ -n "${HOME:-}" ]; then data=$HOME/sealpool-runner
  else data=$PWD/sealpool-runner; fi
  mkdir -p "$data/software" || fail "$data cannot be made; name another folder with SEALPOOL_DATA"
  data=$(cd "$data" && pwd)
  [ -f "$data/runner.json" ] || [ -n "${SEALPOOL_RUNNER_JOIN_TOKEN:-}${SEALPOOL_RUNNER_JOIN_TOKEN_FILE:-}" ] ||
    fail "SEALPOOL_RUNNER_JOIN_TOKEN is not set; have a token made (sealpool runners token) and set it for sh, after the pipe"
  # Parameters of proofs are looked for below the home folder.
  export HOME="${HOME:-$data}"
  export SEALPOOL_DATA="$data" SEALPOOL_URL="${SEALPOOL_URL:-$url}" SEALPOOL_PORT="${SEALPOOL_PORT:-0}"
  export SEALPOOL_RUNNER_MEASURE_NETWORK="${SEALPOOL_RUNNER_MEASURE_NETWORK:-true}"
  if new_enough; then on_host
  elif has podman; then in_container podman
  elif has docker; then in_container docker
  elif has node; then fail "this Node is $(node --version </dev/null) and the runner needs 22.12 or newer; install that, or podman or docker"
  else fail "there is no Node 22.12 or newer here, no podman and no docker; install one of them"; fi
}

# All of it was read when this line is reached: a script that breaks off on its way does nothing.
main
