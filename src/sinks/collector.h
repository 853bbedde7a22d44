/*
 * Collector: every message, as msgpack maps one after another or as JSON lines, in files that are closed whole.
 *
 * In its directory, `current` is being written and `current_start_time` says since when (whole seconds). After
 * `roll_after` messages it becomes START_END[_ID]_N, and so does, at the start, a `current` that an earlier run left.
 * Messages that the filter drops count towards the roll.
 *
 * Life cycle: collector_new (finds out whether it can write), messages as a sink or as bytes, collector_close, then its
 * counts and reason may still be read; sink_free closes too. It never fails towards the sender: past its limit, on a
 * full disk or after a failed write it stops, and counts what it left out.
 */
#pragma once

#include "base/error.h"
#include "bus/sink.h"

struct collector;

#define COLLECTOR_DIR        "collector_data"
#define COLLECTOR_ROLL_AFTER 100000
#define COLLECTOR_MAX_BYTES  (UINT64_C(2) << 30)
#define COLLECTOR_MIN_FREE   (UINT64_C(1) << 30)

struct collector_options {
    const char *dir;     /* borrowed for the call; NULL: COLLECTOR_DIR. Made when missing. */
    uint64_t roll_after; /* messages; 0: COLLECTOR_ROLL_AFTER */
    const char *id;      /* borrowed for the call; part of rolled names; NULL: none */
    bool json;
    uint64_t max_bytes;                          /* written in one run; 0: COLLECTOR_MAX_BYTES */
    uint64_t min_free_bytes;                     /* of the disk; 0: COLLECTOR_MIN_FREE */
    bool (*filter)(void *arg, struct str bytes); /* of the message as msgpack; false drops it. NULL: all are kept */
    void *filter_arg;
};

struct collector_counts {
    uint64_t written, written_bytes;
    uint64_t filtered; /* dropped by the filter */
    uint64_t left_out; /* came after it had stopped, or were lost in a write that failed */
};

/* The sentence names the directory. An id with a "/" is MITE_EINVAL. */
int collector_new(const struct collector_options *options, struct collector **out, struct mite_error *error)
    PRIVATE_API(collector_new);
struct sink *collector_sink(struct collector *collector) PRIVATE_API(collector_sink);

/* One message as msgpack bytes, borrowed; they are written as they are. In JSON files, bytes that are no msgpack map
 * are left out. */
void collector_raw(struct collector *collector, struct str bytes) PRIVATE_API(collector_raw);

/* Hands what is buffered to the system; makes no allocation. */
void collector_flush(struct collector *collector) PRIVATE_API(collector_flush);
/* Flushes and closes; `current` stays for the next start to roll. Further messages are left out. */
void collector_close(struct collector *collector) PRIVATE_API(collector_close);
/* Closes, and leaves no `current` behind that has nothing in it: the run never began. */
void collector_discard(struct collector *collector);

void collector_count(const struct collector *collector, struct collector_counts *out) PRIVATE_API(collector_count);
/* Why it stopped, as half a sentence ("it reached its limit of 2.0 GB"); NULL: it did not. Borrowed. */
const char *collector_stopped(const struct collector *collector) PRIVATE_API(collector_stopped);
const char *collector_dir(const struct collector *collector) PRIVATE_API(collector_dir); /* borrowed */
