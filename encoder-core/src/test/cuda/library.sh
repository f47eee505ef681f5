#!/bin/sh
# Builds one of these files into a library that Java loads: library.sh SOURCE LIBRARY
# Needs g++, on Linux on x86-64: the fibers of host.cpp switch stacks there only.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec g++ -O2 -std=c++17 -Wno-unknown-pragmas -shared -fPIC -I"$here" -I"$here/../../main/cuda" "$here/$1" -o "$2"
