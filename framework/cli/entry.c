/* SPDX-License-Identifier: MIT */
#include <ktest/test.h>

/* Alone in its file, so that the linker does not take it into a program that has its own main(). */
int main(int argc, char **argv)
{
	return kt_main(argc, argv);
}
