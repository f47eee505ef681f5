#!/bin/sh
# Races a tagger against the same network in PyTorch, in training and in use, each on 1 and 2 threads, twice in turn.
# Usage: sh benchmarks/peers/race-taggers.sh TRAIN DEV PYTHON     (word-tab-tag files; a Python with torch)
# Needs a JDK 25 as JAVA_HOME, and `mvn package`.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
java="$JAVA_HOME/bin/java"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for round in 1 2; do
  for threads in 1 2; do
    "$java" -jar "$root/models/target/lanewise.jar" train tagger --train "$1" --dev "$2" --out "$out/model" --overwrite \
      --lowercase --character-size 0 --epochs 4 --word-dropout 0 --learning-rate 0.003 --averaging 0 \
      --threads "$threads" 2>&1 >/dev/null |
      sed "s/^/lanewise, $threads thread(s), training: /"
    "$java" --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED -cp "$root/benchmarks/target/benchmarks.jar" \
      org.lanewise.benchmarks.TaggerSpeed "$out/model" "$2" "$threads" 2>/dev/null
    "$3" "$root/benchmarks/peers/tagger_in_pytorch.py" "$1" "$2" --threads "$threads"
  done
done
