/*
 * Time. Inside, time is nanoseconds in a uint64_t on the monotonic clock; seconds since the epoch as a double exist
 * only where a message, a file or a person wants them.
 */
#pragma once

#include "base/export.h"

#include <stdint.h>

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

uint64_t clock_now_ns(void) PRIVATE_API(clock_now_ns); /* CLOCK_MONOTONIC */
double clock_wall_s(void) PRIVATE_API(clock_wall_s);   /* CLOCK_REALTIME, with fraction */
/* The wall time at a moment of this process's life; no look at a clock, unless none was taken for 10 ms. */
double clock_wall_at(uint64_t mono_ns) PRIVATE_API(clock_wall_at);
uint64_t clock_cpu_ns(void) PRIVATE_API(clock_cpu_ns); /* CPU time of this process, all threads */

static inline double ns_to_s(uint64_t ns)
{
    return (double)ns / 1e9;
}

/* A moment that long after another; UINT64_MAX where that does not fit. */
static inline uint64_t ns_add(uint64_t at_ns, uint64_t ns)
{
    return ns > UINT64_MAX - at_ns ? UINT64_MAX : at_ns + ns;
}

/* Negative and NaN give 0, what does not fit UINT64_MAX. */
uint64_t ns_from_s(double seconds) PRIVATE_API(ns_from_s);
