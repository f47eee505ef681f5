#!/bin/sh
# Makes what benchmarks/gpu.sh needs on a machine with a GPU that has neither a JDK nor Maven nor a network: a Java
# runtime, the benchmarks without their natives, and the tests that need a device: gpu-bundle.sh [FOLDER]
# Needs Maven, and JAVA_HOME to be the JDK of the build.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/benchmarks/target/gpu}
: "${JAVA_HOME:?the JDK of the build}"
cd "$root"
mvn -q -B package -pl benchmarks -am -DskipTests ${MAVEN_ARGS:-}
rm -rf "$out"
mkdir -p "$out"
"$JAVA_HOME/bin/jlink" --output "$out/runtime" --strip-debug --no-header-files --no-man-pages --compress zip-0 --vm server \
  --add-modules java.base,java.logging,java.management,java.naming,java.sql,java.xml,jdk.incubator.vector,jdk.management,jdk.unsupported
if command -v strip > /dev/null; then
  strip --strip-unneeded "$out"/runtime/lib/*.so "$out/runtime/lib/server/libjvm.so"
fi
tar -C "$out" -cJf "$out/runtime.tar.xz" runtime
rm -r "$out/runtime"
# ONNX Runtime and the tokenizers library take no part, and are most of the jar.
"$JAVA_HOME/bin/java" -version 2> "$out/java.txt"
python3 - benchmarks/target/benchmarks.jar "$out/benchmarks.jar" <<'PYTHON'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as whole, zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_DEFLATED, compresslevel=9) as lean:
    for name in whole.namelist():
        natives = name.endswith((".so", ".dll", ".dylib", ".pdb", ".a", ".jnilib"))
        if not natives and not name.startswith(("nlp/", "com/sun/jna/")):
            lean.writestr(name, whole.read(name))
PYTHON
# The goldens are read from the checkout's own resources.
(cd encoder-core/target/test-classes && find . -name '*.class' | sort > "$out/classes.txt" &&
  "$JAVA_HOME/bin/jar" --create --file "$out/tests.jar" @"$out/classes.txt")
rm "$out/classes.txt"
mvn -q -B -o dependency:build-classpath -pl encoder-core -Dmdep.includeScope=test -Dmdep.outputFile="$out/classpath.txt" ${MAVEN_ARGS:-}
mkdir "$out/lib"
tr ':' '\n' < "$out/classpath.txt" | grep -E '/(junit|opentest4j|apiguardian)[^/]*\.jar$' | while read -r jar; do
  cp "$jar" "$out/lib/"
done
rm "$out/classpath.txt"
du -sh "$out" | cut -f1
