/* SPDX-License-Identifier: MIT */
#pragma once
/* Vectors of borrowed names that are looked up. */

#include <stdbool.h>
#include <stddef.h>

/* Sorts @names and removes those that are there twice. Returns how many are left. */
size_t kt_names_sort(const char **names, size_t n);

/* Whether @name is among @names, which kt_names_sort() has sorted. */
bool kt_names_has(const char *const *names, size_t n, const char *name);
