#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes an object file that holds the plugin as bytes: embed.sh PLUGIN OBJECT COMPILER...
set -eu
plugin=$1 object=$2
shift 2
"$@" -c -x assembler -o "$object" - << END
	.section .rodata
	.global kt_plugin_begin, kt_plugin_end
	.hidden kt_plugin_begin, kt_plugin_end
kt_plugin_begin:
	.incbin "$plugin"
kt_plugin_end:
	.section .note.GNU-stack, "", @progbits
END
