/*
 * The upper bounds of a histogram's buckets, as they are told in an environment variable: "0.1,0.5,1".
 */
#pragma once

#include "base/error.h"

#include <stddef.h>

#define BUCKETS_MAX     100
#define BUCKETS_DEFAULT "0.0001,0.001,0.01,0.05,0.1,0.2,0.4,0.8,1,2,4,8,16,32,64" /* seconds */

struct buckets {
    double bounds[BUCKETS_MAX]; /* rising */
    size_t count;
};

/* From the variable, or the default where it is not set. In any order, as mite in Python takes them. MITE_EINVAL: the
 * sentence names the variable and what is wrong in it. */
int buckets_from_environment(const char *variable, struct buckets *out, struct mite_error *error);
