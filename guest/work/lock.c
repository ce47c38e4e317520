/* SPDX-License-Identifier: MIT */
#include "guest/worktype.h"

const struct kt_work_ops kt_lock_works[KT_N_WORK_TYPES] = { 0 };
