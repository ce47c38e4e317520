/* SPDX-License-Identifier: MIT */
/* A binary without tests: it takes main() from the library and nothing else. */
