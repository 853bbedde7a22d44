/*
 * `mite cat`: msgpack maps, as the collector and the recorder write them, become JSON lines, and JSON lines stay what
 * they are; `mite uncat`: the way back. Both stream: memory holds one message. What came before a bad or cut message
 * has been written when that is reported.
 */
#include "cli/exit.h"
#include "cli/options.h"

#include "base/buf.h"
#include "value/json.h"
#include "value/msgpack.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_BYTES     (256u << 10)
#define MAX_LINE_BYTES  (4ul * MSGPACK_MAX_BYTES) /* JSON is longer than its msgpack */
#define MAX_ARENA_BYTES (16ul * MSGPACK_MAX_BYTES)
#define START_BYTES     1024u /* of a file: what tells a text from msgpack */
#define UTF8_LONGEST    4u

/* A file or stdin, and the part of it that is not used up yet. */
struct source {
    const char *name;
    int fd;
    struct buf bytes;
    size_t used;     /* of bytes */
    uint64_t offset; /* in the file, of bytes + used */
    bool at_end;
};

static int source_open(struct source *source, const char *path, struct mite_error *error)
{
    bool is_stdin = !path || strcmp(path, "-") == 0;
    *source = (struct source){.name = is_stdin ? "stdin" : path, .fd = STDIN_FILENO};
    buf_init(&source->bytes, MAX_LINE_BYTES + CHUNK_BYTES);
    if (!is_stdin) {
        source->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (source->fd < 0) {
            return error_errno(error, errno, "cannot read %s", path);
        }
        struct stat info;
        if (fstat(source->fd, &info) == 0 && S_ISDIR(info.st_mode)) {
            return error_set(error, MITE_EINVAL, "%s is a directory: name a file in it", path);
        }
    }
    return 0;
}

static void source_close(struct source *source)
{
    if (source->fd > STDIN_FILENO) {
        close(source->fd);
    }
    buf_done(&source->bytes);
}

/* Reads more behind what is there: as much again as it holds, so that a long message is not looked at too often.
 * MITE_EEND at the end. */
static int source_more(struct source *source, struct mite_error *error)
{
    struct buf *bytes = &source->bytes;
    if (source->at_end) {
        return MITE_EEND;
    }
    buf_drop_front(bytes, source->used);
    source->used = 0;
    size_t want = bytes->size > CHUNK_BYTES ? bytes->size : CHUNK_BYTES;
    if (buf_reserve(bytes, want) != 0) {
        return error_set(error, MITE_ELIMIT, "%s: a message at byte %llu is larger than %u MiB", source->name,
                         (unsigned long long)source->offset, MSGPACK_MAX_BYTES >> 20);
    }
    ssize_t n;
    do {
        n = read(source->fd, bytes->data + bytes->size, want);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return error_errno(error, errno, "cannot read %s", source->name);
    }
    bytes->size += (size_t)n;
    source->at_end = n == 0;
    return n > 0 ? 0 : MITE_EEND;
}

static struct str source_rest(const struct source *source)
{
    struct str all = buf_view(&source->bytes);
    return (struct str){all.p + source->used, all.n - source->used};
}

static void source_use(struct source *source, size_t size)
{
    source->used += size;
    source->offset += size;
}

/* Next message into the arena. MITE_EEND: no more. */
static int next_message(struct source *source, struct arena *arena, struct value *out, struct mite_error *error)
{
    for (;;) {
        struct str rest = source_rest(source);
        size_t used;
        int code = rest.n > 0 ? msgpack_read(arena, rest, &used, out, error) : MITE_EAGAIN;
        if (code == 0) {
            source_use(source, used);
            return 0;
        }
        if (code != MITE_EAGAIN) {
            return error_prefix(error, "%s: byte %llu", source->name, (unsigned long long)source->offset);
        }
        arena_reset(arena);
        code = source_more(source, error);
        if (code == MITE_EEND && rest.n > 0) {
            return error_set(error, MITE_EPROTO,
                             "%s: the last message is cut off: %zu bytes at byte %llu are left over", source->name,
                             rest.n, (unsigned long long)source->offset);
        }
        if (code != 0) {
            return code;
        }
    }
}

/* Next line that is not blank, without its newline. MITE_EEND: no more. */
static int next_line(struct source *source, uint64_t *number, struct str *line, struct mite_error *error)
{
    for (;;) {
        struct str rest = source_rest(source);
        const char *newline = memchr(rest.p, '\n', rest.n);
        if (!newline && !source->at_end) {
            int code = source_more(source, error);
            if (code != 0 && code != MITE_EEND) {
                return code;
            }
            continue;
        }
        if (rest.n == 0) {
            return MITE_EEND;
        }
        *line = (struct str){rest.p, newline ? (size_t)(newline - rest.p) : rest.n};
        source_use(source, line->n + (newline ? 1 : 0));
        ++*number;
        if (line->n > 0 && line->p[line->n - 1] == '\r') {
            line->n--;
        }
        if (line->n > 0) {
            return 0;
        }
    }
}

/* Seconds since the epoch as `2024-02-29T12:00:00.250000Z`; other values stay as they are. */
static struct value prettify(struct arena *arena, struct value time)
{
    double seconds = value_number(&time, NAN);
    struct tm parts;
    if (!(seconds >= 0 && seconds < 253402300800.0)) { /* the year 10000 */
        return time;
    }
    double micros = round(seconds * 1e6);
    time_t whole = (time_t)(micros / 1e6);
    char text[40], stamp[48];
    if (!gmtime_r(&whole, &parts) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        return time;
    }
    snprintf(stamp, sizeof(stamp), "%s.%06dZ", text, (int)(micros - (double)whole * 1e6));
    struct str copy = arena_str(arena, str_of(stamp));
    return copy.p ? value_text(copy) : time;
}

/* A copy of the message's map whose moments can be read by people. */
static int prettify_message(struct arena *arena, struct value *message)
{
    if (message->type != VALUE_MAP) {
        return 0;
    }
    struct pair *pairs = arena_alloc(arena, message->count * sizeof(*pairs));
    if (!pairs) {
        return MITE_ENOMEM;
    }
    for (uint32_t i = 0; i < message->count; i++) {
        pairs[i] = message->pairs[i];
        struct str key = value_str(&pairs[i].key);
        if (key.p && (str_is(key, "time") || str_is(key, "start_time") || str_is(key, "end_time"))) {
            pairs[i].value = prettify(arena, pairs[i].value);
        }
    }
    *message = value_map(pairs, message->count);
    return 0;
}

/* Characters that people read, the last one perhaps cut off. */
static bool is_readable(struct str text)
{
    size_t length;

    for (size_t i = 0; i < text.n; i += length) {
        unsigned char c = (unsigned char)text.p[i];
        length = str_utf8_length((struct str){text.p + i, text.n - i});
        if (length == 0) {
            return i > 0 && text.n - i < UTF8_LONGEST;
        }
        if (c == 0x7f || (c < ' ' && c != '\t' && c != '\r' && c != '\n')) {
            return false;
        }
    }
    return text.n > 0;
}

static struct str start_of(const struct source *source)
{
    struct str rest = source_rest(source);

    return (struct str){rest.p, rest.n < START_BYTES ? rest.n : START_BYTES};
}

/* A brace that is not the number 123. */
static bool begins_object(struct str text)
{
    return text.n > 1 && text.p[0] == '{' && memchr("\"} \t\r\n", text.p[1], 6);
}

/* What --collector-use-json writes are lines of objects. Any other text would be a number for each letter; it is told
 * from numbers that somebody recorded by its length, or the newline at its end. */
static int holds_lines(struct source *source, bool *lines, struct mite_error *error)
{
    int code = source_more(source, error);
    struct str start = start_of(source);

    while (code == 0 && !begins_object(start) && start.n < START_BYTES && is_readable(start)) {
        code = source_more(source, error);
        start = start_of(source);
    }
    *lines = begins_object(start);
    if (!*lines && is_readable(start) && (start.n == START_BYTES || start.p[start.n - 1] == '\n')) {
        return error_set(error, MITE_EPROTO,
                         "%s is text, and not what collector and recorder write: msgpack, or lines of JSON objects",
                         source->name);
    }
    return code == MITE_EEND ? 0 : code;
}

static int read_line(struct source *source, uint64_t *number, struct arena *arena, struct value *out,
                     struct mite_error *error)
{
    struct str line;
    int code = next_line(source, number, &line, error);
    if (code == 0 && (code = json_read(arena, line, out, error)) != 0) {
        error_prefix(error, "%s: line %llu", source->name, (unsigned long long)*number);
    }
    return code;
}

/* Writes out what a message became. */
static int put(const struct buf *out, struct mite_error *error)
{
    if (out->failed) {
        return error_set(error, MITE_ENOMEM, "out of memory for a message");
    }
    if (fwrite(out->data, 1, out->size, stdout) != out->size) {
        return error_errno(error, errno, "cannot write to stdout");
    }
    return 0;
}

static int cat(struct source *source, bool prettified, struct mite_error *error)
{
    struct arena arena;
    struct buf line;
    struct value message;
    uint64_t number = 0;
    bool lines = false;
    arena_init(&arena, MAX_ARENA_BYTES);
    buf_init(&line, MAX_LINE_BYTES);
    int code = holds_lines(source, &lines, error);
    while (code == 0 && (code = lines ? read_line(source, &number, &arena, &message, error)
                                      : next_message(source, &arena, &message, error)) == 0) {
        if (prettified && (code = prettify_message(&arena, &message)) != 0) {
            error_set(error, code, "out of memory for a message");
            break;
        }
        buf_clear(&line);
        json_write(&line, &message);
        buf_char(&line, '\n');
        if ((code = put(&line, error)) != 0) {
            break;
        }
        arena_reset(&arena);
    }
    buf_done(&line);
    arena_done(&arena);
    return code;
}

static int uncat(struct source *source, struct mite_error *error)
{
    struct arena arena;
    struct buf bytes;
    struct value message;
    uint64_t number = 0;
    arena_init(&arena, MAX_ARENA_BYTES);
    buf_init(&bytes, MAX_LINE_BYTES);
    int code;
    while ((code = read_line(source, &number, &arena, &message, error)) == 0) {
        buf_clear(&bytes);
        msgpack_write(&bytes, &message);
        if ((code = put(&bytes, error)) != 0) {
            break;
        }
        arena_reset(&arena);
    }
    buf_done(&bytes);
    arena_done(&arena);
    return code;
}

/* Bad bytes are 1; what cannot be opened 2; everything else that breaks 3. */
static int run(const struct options *options, bool to_json)
{
    const char *command = to_json ? "cat" : "uncat";
    struct mite_error error = {0};
    struct source source;
    int status = EXIT_GOOD;
    int code = source_open(&source, options->positional_count > 0 ? options->positional[0] : NULL, &error);
    if (code != 0) {
        status = EXIT_USAGE;
    } else {
        code = to_json ? cat(&source, options->prettify_timestamps, &error) : uncat(&source, &error);
        status = code == MITE_EEND ? EXIT_GOOD : code == MITE_EPROTO || code == MITE_ELIMIT ? EXIT_FAILED : EXIT_BROKE;
    }
    if (fflush(stdout) != 0 && status == EXIT_GOOD) {
        error_errno(&error, errno, "cannot write to stdout");
        status = EXIT_BROKE;
    }
    if (status != EXIT_GOOD) {
        fprintf(stderr, "mite %s: %s\n", command, error.text);
    }
    error_done(&error);
    source_close(&source);
    return status;
}

int cmd_cat(const struct options *options)
{
    return run(options, true);
}

int cmd_uncat(const struct options *options)
{
    return run(options, false);
}
