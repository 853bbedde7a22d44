/*
 * Design notes. The buffer holds whole records only, and goes to the file in one go when it is large enough. When such
 * a write fails half-way the file is cut back to where it began, so that what is on disk always ends with a whole
 * record; the records of that buffer count as left out. After any stop the file is closed and nothing is written again.
 *
 * Two programs may use one directory: each renames whatever `current` it finds at its start. So before it rolls, a
 * collector looks whether `current` is still its own file; if it is not, somebody else has given it its name already.
 */
#include "sinks/collector.h"

#include "sinks/files.h"
#include "sinks/text.h"
#include "value/json.h"
#include "value/msgpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (256u << 10)
#define CURRENT      "current"
#define START_TIME   "current_start_time"

struct collector {
    struct sink sink;
    char *dir, *id; /* owned; id may be NULL */
    int dir_fd, fd; /* fd -1: stopped or closed */
    uint64_t roll_after, max_bytes, min_free_bytes;
    bool json;
    bool (*filter)(void *arg, struct str bytes);
    void *filter_arg;

    struct buf buffer;
    uint64_t buffered;    /* records in it */
    uint64_t file_bytes;  /* of the current file */
    uint64_t file_seen;   /* messages since it was begun, with the filtered ones */
    uint64_t start_s;     /* of the current file */
    unsigned roll_number; /* N of the next rolled name */
    struct buf scratch;   /* the message as msgpack, where JSON is written */
    struct arena arena;
    struct collector_counts counts;
    char stopped[128];
};

static uint64_t seconds_now(void)
{
    return (uint64_t)time(NULL);
}

static void stop(struct collector *collector, const char *why)
{
    if (collector->fd >= 0) {
        close(collector->fd);
        collector->fd = -1;
    }
    if (!collector->stopped[0]) {
        snprintf(collector->stopped, sizeof collector->stopped, "%s", why);
    }
    collector->counts.left_out += collector->buffered;
    collector->buffered = 0;
    buf_clear(&collector->buffer);
}

static void stop_errno(struct collector *collector, const char *what, int error)
{
    char why[sizeof collector->stopped];
    snprintf(why, sizeof why, "%s: %s", what, strerror(error));
    stop(collector, why);
}

static bool disk_has_room(struct collector *collector)
{
    uint64_t free_bytes;
    if (!file_disk_free(collector->dir_fd, &free_bytes) || free_bytes >= collector->min_free_bytes) {
        return true;
    }
    char why[sizeof collector->stopped];
    snprintf(why, sizeof why, "the disk has less than %s free", text_bytes(collector->min_free_bytes).s);
    stop(collector, why);
    return false;
}

void collector_flush(struct collector *collector)
{
    struct buf *buffer = &collector->buffer;
    if (collector->fd < 0 || buffer->size == 0 || !disk_has_room(collector)) {
        return;
    }
    int error = file_write_all(collector->fd, buffer->data, buffer->size);
    if (error != 0) {
        /* The file is ours: cutting it back cannot fail for a reason that the write has not met already. */
        if (ftruncate(collector->fd, (off_t)collector->file_bytes) != 0) {
            error = errno;
        }
        stop_errno(collector, "a write failed", error);
        return;
    }
    collector->file_bytes += buffer->size;
    collector->counts.written_bytes += buffer->size;
    collector->counts.written += collector->buffered;
    collector->buffered = 0;
    buf_clear(buffer);
}

/* Gives `current`, begun at start_s, its final name. 0 or an errno. */
static int roll_current(struct collector *collector, uint64_t start_s, uint64_t end_s)
{
    char name[256];
    int error;
    do {
        snprintf(name, sizeof name, "%llu_%llu%s%.150s_%u", (unsigned long long)start_s, (unsigned long long)end_s,
                 collector->id ? "_" : "", collector->id ? collector->id : "", collector->roll_number++);
        error = file_rename_new(collector->dir_fd, CURRENT, name);
    } while (error == EEXIST);
    return error == ENOENT ? 0 : error;
}

/* A `current` that is not ours ended when it was last written. */
static int roll_left_behind(struct collector *collector)
{
    struct stat st;
    if (fstatat(collector->dir_fd, CURRENT, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? 0 : errno;
    }
    uint64_t end_s = (uint64_t)st.st_mtime;
    uint64_t start_s = file_read_number(collector->dir_fd, START_TIME, end_s);
    return roll_current(collector, start_s < end_s ? start_s : end_s, end_s);
}

/* Creates `current`, moving another one out of its way. */
static int open_current(struct collector *collector)
{
    for (;;) {
        int error = roll_left_behind(collector);
        if (error != 0) {
            return error;
        }
        collector->fd = openat(collector->dir_fd, CURRENT, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (collector->fd >= 0) {
            return 0;
        }
        if (errno != EEXIST) { /* else another program was faster: its turn to be moved */
            return errno;
        }
    }
}

static int begin_file(struct collector *collector)
{
    char text[32];
    int error = open_current(collector);
    if (error != 0) {
        return error;
    }
    collector->start_s = seconds_now();
    collector->file_bytes = collector->file_seen = 0;
    int length = snprintf(text, sizeof text, "%llu", (unsigned long long)collector->start_s);
    return file_replace(collector->dir_fd, START_TIME, text, (size_t)length);
}

static bool current_is_ours(const struct collector *collector)
{
    struct stat ours, found;
    return fstat(collector->fd, &ours) == 0 && fstatat(collector->dir_fd, CURRENT, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == found.st_ino && ours.st_dev == found.st_dev;
}

static void roll(struct collector *collector)
{
    collector_flush(collector);
    if (collector->fd < 0) {
        return;
    }
    int error = current_is_ours(collector) ? roll_current(collector, collector->start_s, seconds_now()) : 0;
    close(collector->fd);
    collector->fd = -1;
    if (error == 0) {
        error = begin_file(collector);
    }
    if (error != 0) {
        stop_errno(collector, "cannot begin a new file", error);
    }
}

/* The filter wants msgpack, whatever is written. */
static bool passes_filter(struct collector *collector, struct str bytes)
{
    if (!collector->filter || collector->filter(collector->filter_arg, bytes)) {
        return true;
    }
    collector->counts.filtered++;
    return false;
}

/* What was appended behind `before` is a whole record, or goes again. */
static void keep_record(struct collector *collector, size_t before)
{
    struct buf *buffer = &collector->buffer;
    if (buffer->failed) {
        buffer->size = before;
        buffer->failed = false;
        collector->counts.left_out++;
        return;
    }
    if (collector->counts.written_bytes + buffer->size > collector->max_bytes) {
        char why[sizeof collector->stopped];
        buffer->size = before;
        collector->counts.left_out++;
        collector_flush(collector);
        snprintf(why, sizeof why, "it reached its limit of %s", text_bytes(collector->max_bytes).s);
        stop(collector, why);
        return;
    }
    collector->buffered++;
    if (buffer->size >= BUFFER_BYTES) {
        collector_flush(collector);
    }
}

static bool begin_message(struct collector *collector)
{
    if (collector->fd < 0) {
        collector->counts.left_out++;
        return false;
    }
    return true;
}

static void end_message(struct collector *collector)
{
    if (++collector->file_seen >= collector->roll_after) {
        roll(collector);
    }
}

static void append_json(struct collector *collector, const struct value *map)
{
    json_write(&collector->buffer, map);
    buf_char(&collector->buffer, '\n');
}

static void take_json(struct collector *collector, const struct message *message)
{
    size_t before = collector->buffer.size;
    struct value map;
    arena_reset(&collector->arena);
    if (message_to_value(&collector->arena, message, &map) != 0) {
        collector->buffer.failed = true;
    } else {
        append_json(collector, &map);
    }
    keep_record(collector, before);
}

static void take_message(struct collector *collector, const struct message *message)
{
    if (!collector->json) {
        size_t before = collector->buffer.size;
        message_write(&collector->buffer, message);
        struct str bytes = {collector->buffer.data + before, collector->buffer.size - before};
        if (!collector->buffer.failed && !passes_filter(collector, bytes)) {
            collector->buffer.size = before;
        } else {
            keep_record(collector, before);
        }
        return;
    }
    if (collector->filter) {
        buf_clear(&collector->scratch);
        message_write(&collector->scratch, message);
        if (!collector->scratch.failed && !passes_filter(collector, buf_view(&collector->scratch))) {
            return;
        }
    }
    take_json(collector, message);
}

static void collector_message(struct sink *sink, const struct message *message)
{
    struct collector *collector = (struct collector *)sink;
    if (begin_message(collector)) {
        take_message(collector, message);
        end_message(collector);
    }
}

static void take_raw(struct collector *collector, struct str bytes)
{
    size_t before = collector->buffer.size, used;
    struct value map;
    if (!passes_filter(collector, bytes)) {
        return;
    }
    if (!collector->json) {
        buf_str(&collector->buffer, bytes);
    } else {
        arena_reset(&collector->arena);
        if (msgpack_read(&collector->arena, bytes, &used, &map, NULL) != 0 || used != bytes.n ||
            map.type != VALUE_MAP) {
            collector->buffer.failed = true;
        } else {
            append_json(collector, &map);
        }
    }
    keep_record(collector, before);
}

void collector_raw(struct collector *collector, struct str bytes)
{
    if (begin_message(collector)) {
        take_raw(collector, bytes);
        end_message(collector);
    }
}

void collector_close(struct collector *collector)
{
    collector_flush(collector);
    if (collector->fd >= 0) {
        close(collector->fd);
        collector->fd = -1;
    }
}

void collector_discard(struct collector *collector)
{
    if (collector->fd >= 0 && collector->counts.written == 0 && collector->buffered == 0 &&
        current_is_ours(collector)) {
        unlinkat(collector->dir_fd, CURRENT, 0);
        unlinkat(collector->dir_fd, START_TIME, 0);
    }
    collector_close(collector);
}

static void collector_free(struct sink *sink)
{
    struct collector *collector = (struct collector *)sink;
    collector_close(collector);
    if (collector->dir_fd >= 0) {
        close(collector->dir_fd);
    }
    buf_done(&collector->buffer);
    buf_done(&collector->scratch);
    arena_done(&collector->arena);
    free(collector->dir);
    free(collector->id);
    free(collector);
}

static const struct sink_ops ops = {.name = "collector", .message = collector_message, .free = collector_free};

static int open_files(struct collector *collector, struct mite_error *error)
{
    int code = file_open_dir(collector->dir, &collector->dir_fd, error);
    if (code != 0) {
        return code;
    }
    int errno_value = begin_file(collector);
    return errno_value ? error_errno(error, errno_value, "cannot write in directory \"%s\"", collector->dir) : 0;
}

int collector_new(const struct collector_options *options, struct collector **out, struct mite_error *error)
{
    if (options->id && strchr(options->id, '/')) {
        return error_set(error, MITE_EINVAL, "id \"%s\" cannot be part of a file name", options->id);
    }
    struct collector *collector = calloc(1, sizeof *collector);
    if (!collector) {
        return error_set(error, MITE_ENOMEM, "out of memory");
    }
    collector->sink.ops = &ops;
    collector->dir_fd = collector->fd = -1;
    collector->roll_after = options->roll_after ? options->roll_after : COLLECTOR_ROLL_AFTER;
    collector->max_bytes = options->max_bytes ? options->max_bytes : COLLECTOR_MAX_BYTES;
    collector->min_free_bytes = options->min_free_bytes ? options->min_free_bytes : COLLECTOR_MIN_FREE;
    collector->json = options->json;
    collector->filter = options->filter;
    collector->filter_arg = options->filter_arg;
    buf_init(&collector->buffer, 0);
    buf_init(&collector->scratch, 0);
    arena_init(&collector->arena, 0);
    collector->dir = str_copy(str_of(options->dir ? options->dir : COLLECTOR_DIR));
    collector->id = options->id ? str_copy(str_of(options->id)) : NULL;
    int code = !collector->dir || (options->id && !collector->id) || buf_reserve(&collector->buffer, 2 * BUFFER_BYTES)
                   ? error_set(error, MITE_ENOMEM, "out of memory")
                   : open_files(collector, error);
    if (code != 0) {
        collector_free(&collector->sink);
        return code;
    }
    *out = collector;
    return 0;
}

struct sink *collector_sink(struct collector *collector)
{
    return &collector->sink;
}

void collector_count(const struct collector *collector, struct collector_counts *out)
{
    *out = collector->counts;
    out->written += collector->buffered;
    out->written_bytes += collector->buffer.size;
}

const char *collector_stopped(const struct collector *collector)
{
    return collector->stopped[0] ? collector->stopped : NULL;
}

const char *collector_dir(const struct collector *collector)
{
    return collector->dir;
}
