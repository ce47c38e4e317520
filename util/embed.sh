#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes an object file that holds files as bytes, from SYMBOL_begin to SYMBOL_end:
# embed.sh OBJECT SYMBOL FILE [SYMBOL FILE]... -- COMPILER...
set -eu
object=$1
shift
text='	.section .rodata
'
while [ "$1" != -- ]; do
	text="$text	.global ${1}_begin, ${1}_end
	.hidden ${1}_begin, ${1}_end
${1}_begin:
	.incbin \"$2\"
${1}_end:
"
	shift 2
done
shift
printf '%s	.section .note.GNU-stack, "", @progbits\n' "$text" |
	"$@" -c -x assembler -o "$object" -
