#!/bin/sh
# require.sh node|cargo|cc …: checks that each is here, or says in one sentence what is missing and how to get it.
set -eu
MIN_NODE=20
MIN_RUST=88 # 1.88, as rust-version in runner-image/Cargo.toml

fail() {
  echo "sealpool: $1" >&2
  exit 1
}

for need in "$@"; do
  case $need in
    node)
      command -v node >/dev/null || fail "Node.js is missing; install Node $MIN_NODE or newer with npm (Debian: apt-get install nodejs npm)"
      major=$(node -p 'process.versions.node.split(".")[0]')
      [ "$major" -ge $MIN_NODE ] || fail "Node $(node --version) is too old; install Node $MIN_NODE or newer with npm"
      command -v npm >/dev/null || fail "npm is missing; install it beside Node.js (Debian: apt-get install npm)"
      ;;
    cargo)
      cargo=$(command -v cargo || echo "${HOME:-}/.cargo/bin/cargo")
      [ -x "$cargo" ] || fail "cargo is missing; install Rust 1.$MIN_RUST or newer with rustup (https://rustup.rs)"
      minor=$("$cargo" --version | sed -E 's/^cargo [0-9]+\.([0-9]+).*/\1/')
      [ "$minor" -ge $MIN_RUST ] || fail "$("$cargo" --version) is too old; install Rust 1.$MIN_RUST or newer (rustup update)"
      ;;
    cc)
      command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null ||
        fail "a C compiler is missing; install one (Debian: apt-get install build-essential)"
      ;;
    *) fail "scripts/require.sh does not know \"$need\"" ;;
  esac
done
