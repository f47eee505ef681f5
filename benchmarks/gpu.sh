#!/bin/bash
# Everything that needs a GPU, in one go: gpu.sh BUNDLE [OUT] [STEPS]
# BUNDLE is what gpu-bundle.sh made; OUT (benchmarks/results/gpu) takes logs, tables and the race. STEPS, separated by
# commas, are of: check, models, sanitize, limits, speed, race; all unless given. Needs bash, tar with xz, and a python3
# (or $PYTHON) with torch and transformers. A step that fails is said so in the table, and the next one runs.
set -u
bundle=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/.." && pwd)
out=${2:-$root/benchmarks/results/gpu}
steps=${3:-check,models,sanitize,limits,speed,race}
python=${PYTHON:-python3}
mkdir -p "$out"
out=$(cd "$out" && pwd)
place=$(mktemp -d)
tar -C "$place" -xJf "$bundle/runtime.tar.xz"
java="$place/runtime/bin/java"
flags="--add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED -Xmx4g"
tests="$bundle/tests.jar:$root/encoder-core/src/test/resources:$bundle/benchmarks.jar:$bundle/lib/*"
table="$out/gpu.md"
# cuBLASLt as it came with torch, for the dynamic loader, which the backend asks for it by name.
blas=$("$python" - << 'PYTHON'
import glob, importlib.util, os, torch
found = []
for name in ("nvidia", "torch"):
    spec = importlib.util.find_spec(name)
    for place in spec.submodule_search_locations if spec else []:
        library = "libcublasLt.so." + str(torch.version.cuda).split(".")[0]
        found += glob.glob(os.path.join(place, "**", library), recursive=True)
print(os.path.dirname(found[0]) if found else "")
PYTHON
)
[ -n "$blas" ] && export LD_LIBRARY_PATH="$blas${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

has() { [[ ",$steps," == *",$1,"* ]]; }

# run NAME SECONDS COMMAND: into a log, and a row of the table.
run() {
  local name=$1 limit=$2 began=$SECONDS
  shift 2
  echo "== $name" >&2
  timeout "$limit" "$@" > "$out/$name.log" 2>&1
  local code=$?
  echo "| $name | $([ $code = 0 ] && echo passed || echo "FAILED ($code)") | $((SECONDS - began)) s |" >> "$table"
  tail -25 "$out/$name.log"
}

{
  echo "# On a GPU"
  echo
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2> /dev/null
  cat "$bundle/java.txt"
  echo "cuBLASLt: $([ -n "$blas" ] && echo "that of torch" || echo none)"
  echo
  echo "| step | result | time |"
  echo "|---|---|---|"
} > "$table"

cd "$root/encoder-core"
if has check; then
  run check 300 "$java" $flags -ea -cp "$tests" org.lanewise.encoder.GpuCheck
fi
if has models; then
  run models 300 "$java" $flags -ea -cp "$tests" org.lanewise.encoder.GpuCheck all
fi
if has sanitize; then
  if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck initcheck; do
      run "sanitize-$tool" 420 compute-sanitizer --tool $tool --target-processes all --print-limit 20 --error-exitcode 9 \
        "$java" $flags -Dlanewise.cublas=false -cp "$tests" org.lanewise.encoder.GpuCheck few
    done
  else
    echo "| sanitize | no compute-sanitizer | |" >> "$table"
  fi
fi
cd "$root"
rate=0
bandwidth=0
if has limits; then
  run limits 120 "$python" benchmarks/peers/device_limits.py
  rate=$(awk '/matrix_tflops/ {print $2}' "$out/limits.log")
  bandwidth=$(awk '/copy_gbs/ {print $2}' "$out/limits.log")
fi
if has speed; then
  run tiles 300 "$java" $flags -cp "$tests" org.lanewise.encoder.backend.cuda.TileSpeed
  for library in true false; do
    run "speed-cublas-$library" 200 "$java" $flags -Dlanewise.cublas=$library -jar "$bundle/benchmarks.jar" device-speed \
      --matrix-rate "${rate:-0}" --bandwidth "${bandwidth:-0}"
  done
fi
race() {
  local name=$1 limit=$2
  shift 2
  run "$name" "$limit" "$java" $flags -jar "$bundle/benchmarks.jar" race --no-own --python "$python" \
    --contenders vector-fp32,cuda-bf16,torch-cuda-bf16 --threads "$(nproc)" --out "$out/$name" "$@"
  [ -f "$out/$name/race.md" ] && cat "$out/$name/race.md" >> "$out/races.md"
}
if has race; then
  rm -f "$out/races.md"
  race race-minilm 420 --shape minilm --texts 16384 --workloads "1x12 text,1x128,mix,mix text" --seconds 3 --rounds 5
  race race-base 540 --shape base --texts 2048 --workloads "1x12 text,long mix text" --seconds 3 --rounds 5
fi
{
  echo
  for log in check models limits tiles speed-cublas-true speed-cublas-false; do
    [ -f "$out/$log.log" ] && { echo "## $log"; echo; grep -E '^(\||the device is|[a-z_]+ [0-9.]+$)' "$out/$log.log"; echo; }
  done
  [ -f "$out/races.md" ] && cat "$out/races.md"
} >> "$table"
cat "$table"
rm -r "$place"
