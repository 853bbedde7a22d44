/*
 * Recorder: appends the data of each `data_created` to NAME.msgpack in its directory, and deletes that file at
 * `purge_data`. Every record goes to the system whole, with one write, so a reader never sees half of one.
 *
 * A name that would leave the directory (empty, ".", with a "/" or a zero byte, too long, or a symbolic link there) is
 * refused and counted, and so is a message that lacks it. At most RECORDER_OPEN_MAX files are open at once.
 */
#pragma once

#include "base/error.h"
#include "bus/sink.h"

struct recorder;

#define RECORDER_OPEN_MAX 64
#define RECORDER_NAME_MAX 200 /* bytes */

struct recorder_counts {
    uint64_t written; /* records */
    uint64_t purged;  /* files */
    uint64_t refused; /* messages with a name that leaves the directory, or without what their type has */
    uint64_t failed;  /* records that could not be written */
};

/* Where records go when --recorder-dir is not given: recorder_data, or recorder-data where only that is a directory. */
const char *recorder_default_dir(void) PRIVATE_API(recorder_default_dir);

/* `dir` is borrowed for the call; NULL: recorder_default_dir(). When missing it is made, and goes again with the
 * recorder if nothing was recorded. The sentence names it. */
int recorder_new(const char *dir, struct recorder **out, struct mite_error *error) PRIVATE_API(recorder_new);
struct sink *recorder_sink(struct recorder *recorder) PRIVATE_API(recorder_sink); /* sink_free closes and frees */

void recorder_count(const struct recorder *recorder, struct recorder_counts *out) PRIVATE_API(recorder_count);
/* Why the first was refused, as half a sentence; NULL: none was. Borrowed. */
const char *recorder_first_refusal(const struct recorder *recorder) PRIVATE_API(recorder_first_refusal);
/* The first failure's sentence; NULL: none. Borrowed. */
const char *recorder_first_failure(const struct recorder *recorder) PRIVATE_API(recorder_first_failure);
