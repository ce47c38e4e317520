/* SPDX-License-Identifier: MIT */
#pragma once
/* What the declaring macros KTEST(), KT_PAYLOAD() and KT_SCHEDULER() have in common. */

/*
 * Around a declaration. Members that a declaration leaves out have their documented defaults;
 * -Wextra would warn about each of them (-Wmissing-field-initializers; in C only clang does so for
 * designated initialisers, in C++ gcc too).
 */
#define KT_DECLARATION_BEGIN                                                                       \
	_Pragma("GCC diagnostic push")                                                             \
		_Pragma("GCC diagnostic ignored \"-Wmissing-field-initializers\"")
#define KT_DECLARATION_END _Pragma("GCC diagnostic pop")
