# Read by the other files here: takes --data DIR and --out DIR from the arguments, leaves all
# others in "$@", and finds the command line and a Java that runs it.

set -eu

recipe=$(basename "$0" .sh)
models=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
jar=$models/target/lanewise.jar
data=
out=$models/target/trained/$recipe

refuse() {
  echo "$recipe.sh: $*" >&2
  exit 2
}

left=$#
while [ "$left" -gt 0 ]; do
  argument=$1
  shift
  left=$((left - 1))
  case $argument in
    --data | --out)
      [ "$left" -gt 0 ] || refuse "$argument is the last argument, expected a directory after it"
      if [ "$argument" = --data ]; then data=$1; else out=$1; fi
      shift
      left=$((left - 1))
      ;;
    --data=*) data=${argument#*=} ;;
    --out=*) out=${argument#*=} ;;
    *) set -- "$@" "$argument" ;;
  esac
done
[ -n "$data" ] || refuse "--data is missing; expected the directory that has $needs"
for each in $needs; do
  [ -d "$data/$each" ] || refuse "[$data] has no directory [$each]; expected $needs"
done

[ -f "$jar" ] || refuse "[$jar] is missing; build it: mvn -q package -DskipTests"

# Keeps a Java in $java, if it is 25 or newer and none is kept yet.
java=
seen=
try() {
  [ -z "$java" ] || return 0
  feature=$("$1" -version 2>&1 | sed -n 's/^.* version "\([0-9]*\).*/\1/p')
  if [ "${feature:-0}" -ge 25 ]; then
    java=$1
  else
    seen="$seen [$1] is ${feature:-none};"
  fi
}

# JAVA names the one to use; the others may be there for something else.
if [ -n "${JAVA:-}" ]; then
  try "$JAVA"
else
  [ -z "${JAVA_HOME:-}" ] || try "$JAVA_HOME/bin/java"
  try java
fi
[ -n "$java" ] || refuse "a Java 25 is missing:$seen set JAVA or JAVA_HOME"

lanewise() {
  "$java" -jar "$jar" "$@"
}
