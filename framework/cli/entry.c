/* SPDX-License-Identifier: MIT */
#include <ktest/test.h>

/* In a file of its own, so that a program with its own main() does not get this one linked in. */
int main(int argc, char **argv)
{
	return kt_main(argc, argv);
}
