#!/bin/sh
# Builds the kernels to PTX, which is kept as a resource so that nobody needs a toolkit: build.sh [FOLDER]
# Needs nvcc and ptxas (13.0 made the files that are kept). PTX 7.0 is the oldest version that has these instructions,
# and what drivers since CUDA 11.0 read; nvcc would write its own, which older drivers refuse.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../resources/org/lanewise/encoder/backend/cuda}
mkdir -p "$out"
cd "$here"
for kernels in attention product recurrence rows; do
  nvcc -ptx -arch=sm_80 -O3 -std=c++17 -o "$out/$kernels.ptx.new" "$kernels.cu"
  # Comments tell the compiler's build and nothing of the kernels.
  sed -e 's/^\.version .*/.version 7.0/' -e '/^\/\//d' -e '/^$/d' -e 's/[[:space:]]*\/\/ .*//' \
    "$out/$kernels.ptx.new" > "$out/$kernels.ptx"
  rm "$out/$kernels.ptx.new"
  for architecture in sm_80 sm_90; do
    ptxas -arch=$architecture -o /dev/null "$out/$kernels.ptx"
  done
done
