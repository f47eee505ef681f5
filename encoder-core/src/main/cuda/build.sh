#!/bin/sh
# Builds the kernels to PTX, which is kept as a resource so that nobody needs a toolkit: build.sh [FOLDER]
# Needs nvcc and ptxas (13.0 made the files that are kept). PTX 7.0 is the oldest version that has these instructions,
# and what drivers since CUDA 11.0 read; nvcc would write its own, which older drivers refuse. Warpgroups are Hopper's
# alone (sm_90a) and need PTX 8.0, of CUDA 12.0.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../resources/org/lanewise/encoder/backend/cuda}
mkdir -p "$out"
cd "$here"

# build KERNELS VERSION TARGET ARCHITECTURE...: the last must be able to run it.
build() {
  kernels=$1
  version=$2
  target=$3
  shift 3
  nvcc -ptx -arch="$target" -O3 -std=c++17 -o "$out/$kernels.ptx.new" "$kernels.cu"
  # Comments tell the compiler's build and nothing of the kernels.
  sed -e "s/^\.version .*/.version $version/" -e '/^\/\//d' -e '/^$/d' -e 's/[[:space:]]*\/\/ .*//' \
    "$out/$kernels.ptx.new" > "$out/$kernels.ptx"
  rm "$out/$kernels.ptx.new"
  for architecture in "$@"; do
    ptxas -arch="$architecture" -o /dev/null "$out/$kernels.ptx"
  done
}

for kernels in attention product recurrence rows; do
  build $kernels 7.0 sm_80 sm_80 sm_90
done
build warpgroup 8.0 sm_90a sm_90a
