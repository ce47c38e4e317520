#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles a BPF object and strips its DWARF.
# usage: compile.sh CLANG STRIP SOURCE OBJECT DEPFILE ARGUMENTS...
set -eu
clang=$1 strip=$2 source=$3 object=$4 depfile=$5
shift 5
"$clang" "$@" -MD -MF "$depfile" -MT "$object" -c "$source" -o "$object"
exec "$strip" -g "$object"
