#!/bin/sh
set -eu
for f in "$@"; do
  [ -s "$f" ] || { echo "skip $f" >&2; continue; }
  gzip -9 -c "$f" > "$f.gz.tmp" && mv "$f.gz.tmp" "$f.gz"
done
