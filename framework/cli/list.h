/* SPDX-License-Identifier: MIT */
#pragma once
/* --list: the selected tests, for people and for other runners. */

#include <stdio.h>

#include "framework/options/options.h"
#include "framework/select/select.h"

int kt_list(const struct kt_selection *selection, enum kt_list_format format, FILE *out,
	    struct kt_err *reterr);
