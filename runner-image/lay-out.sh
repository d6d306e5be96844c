#!/bin/sh
# lay-out.sh PROGRAM ROOT PATH: copies a program to PATH below ROOT, and every library it loads to where the loader
# looks for it; the loader itself is among them. Fails when one of them is not here.
set -eu
program=$1
root=$2
path=$3
# A program that lacks a library must not become an image: it would fail on somebody else's machine.
if ldd "$program" | grep -q 'not found'; then
  echo "$program needs libraries that are not here: $(ldd "$program" | grep 'not found'); install them" >&2
  exit 1
fi
mkdir -p "$root$(dirname "$path")"
cp -L "$program" "$root$path"
ldd "$program" | sed -n 's/.*=> \(\/[^ ]*\) (.*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
