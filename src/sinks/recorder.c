#include "sinks/recorder.h"

#include "sinks/files.h"
#include "sinks/text.h"
#include "value/msgpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".msgpack"

/* A file that is open. Those of one recorder are few: a list that is searched from the front, newest use first. */
struct record_file {
    char name[RECORDER_NAME_MAX + sizeof SUFFIX];
    int fd;
};

struct recorder {
    struct sink sink;
    int dir_fd;
    char *made;                                   /* the directory, when it was not there; owned */
    struct record_file *files[RECORDER_OPEN_MAX]; /* owned, most recently used first */
    size_t file_count;
    struct buf buffer; /* one record */
    struct recorder_counts counts;
    char *first_refusal;
    struct mite_error first_failure;
};

const char *recorder_default_dir(void)
{
    struct stat st;
    if (stat("recorder_data", &st) == 0) {
        return "recorder_data";
    }
    return stat("recorder-data", &st) == 0 && S_ISDIR(st.st_mode) ? "recorder-data" : "recorder_data";
}

static bool stays_inside(struct str name)
{
    return name.n > 0 && name.n <= RECORDER_NAME_MAX && !str_is(name, ".") && !str_is(name, "..") &&
           !memchr(name.p, '/', name.n) && !memchr(name.p, '\0', name.n);
}

static void refuse(struct recorder *recorder, const char *before, struct str what, const char *behind)
{
    recorder->counts.refused++;
    if (!recorder->first_refusal) {
        struct buf why;
        buf_init(&why, 0);
        buf_text(&why, before);
        text_fit(&why, what, text_width(what) < 60 ? text_width(what) : 60, false);
        buf_text(&why, behind);
        recorder->first_refusal = str_copy(buf_view(&why));
        buf_done(&why);
    }
}

static void refuse_name(struct recorder *recorder, struct str name)
{
    refuse(recorder, "the name \"", name, "\" leaves the directory");
}

static void fail(struct recorder *recorder, const char *what, const char *file, int errno_value)
{
    recorder->counts.failed++;
    if (recorder->first_failure.code == 0) {
        error_errno(&recorder->first_failure, errno_value, "cannot %s \"%s\"", what, file);
    }
}

static void file_forget(struct recorder *recorder, size_t index)
{
    struct record_file *file = recorder->files[index];
    close(file->fd);
    free(file);
    recorder->file_count--;
    memmove(&recorder->files[index], &recorder->files[index + 1],
            (recorder->file_count - index) * sizeof *recorder->files);
}

/* Index among the open files, or file_count. */
static size_t file_index(const struct recorder *recorder, const char *name)
{
    size_t i = 0;
    while (i < recorder->file_count && strcmp(recorder->files[i]->name, name) != 0) {
        i++;
    }
    return i;
}

static void move_to_front(struct recorder *recorder, size_t index)
{
    struct record_file *file = recorder->files[index];
    memmove(&recorder->files[1], &recorder->files[0], index * sizeof *recorder->files);
    recorder->files[0] = file;
}

/* Somebody else has deleted it: what were written to it now nobody could read. */
static bool is_deleted(const struct record_file *file)
{
    struct stat st;
    return fstat(file->fd, &st) == 0 && st.st_nlink == 0;
}

/* The open file of that name. NULL: *errno_value says why; ELOOP is a symbolic link. */
static struct record_file *file_get(struct recorder *recorder, const char *name, int *errno_value)
{
    size_t index = file_index(recorder, name);
    if (index < recorder->file_count && !is_deleted(recorder->files[index])) {
        move_to_front(recorder, index);
        return recorder->files[0];
    }
    if (index < recorder->file_count) {
        file_forget(recorder, index);
    }
    struct record_file *file = malloc(sizeof *file);
    if (!file) {
        *errno_value = ENOMEM;
        return NULL;
    }
    /* Not blocking, should the name be that of a pipe. */
    file->fd =
        openat(recorder->dir_fd, name, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
    if (file->fd < 0) {
        *errno_value = errno;
        free(file);
        return NULL;
    }
    snprintf(file->name, sizeof file->name, "%s", name);
    if (recorder->file_count == RECORDER_OPEN_MAX) {
        file_forget(recorder, RECORDER_OPEN_MAX - 1);
    }
    recorder->files[recorder->file_count++] = file;
    move_to_front(recorder, recorder->file_count - 1);
    return file;
}

static void append(struct recorder *recorder, struct record_file *file)
{
    struct stat before;
    if (fstat(file->fd, &before) != 0) {
        fail(recorder, "write to", file->name, errno);
        return;
    }
    int error = file_write_all(file->fd, recorder->buffer.data, recorder->buffer.size);
    if (error == 0) {
        recorder->counts.written++;
        return;
    }
    /* Half a record would spoil the file for its readers. */
    if (ftruncate(file->fd, before.st_size) != 0) {
        error = errno;
    }
    fail(recorder, "write to", file->name, error);
}

static void record(struct recorder *recorder, struct str name, const char *file_name, const struct value *data)
{
    int errno_value = 0;
    buf_clear(&recorder->buffer);
    msgpack_write(&recorder->buffer, data);
    if (recorder->buffer.failed) {
        fail(recorder, "write to", file_name, ENOMEM);
        return;
    }
    struct record_file *file = file_get(recorder, file_name, &errno_value);
    if (file) {
        append(recorder, file);
    } else if (errno_value == ELOOP) {
        refuse_name(recorder, name);
    } else {
        fail(recorder, "open", file_name, errno_value);
    }
}

static void purge(struct recorder *recorder, const char *file_name)
{
    size_t index = file_index(recorder, file_name);
    if (index < recorder->file_count) {
        file_forget(recorder, index);
    }
    if (unlinkat(recorder->dir_fd, file_name, 0) == 0) {
        recorder->counts.purged++;
    } else if (errno != ENOENT) {
        fail(recorder, "delete", file_name, errno);
    }
}

static bool is_ours(enum message_kind kind)
{
    return kind == MESSAGE_DATA_CREATED || kind == MESSAGE_PURGE_DATA;
}

static void recorder_message(struct sink *sink, const struct message *message)
{
    struct recorder *recorder = (struct recorder *)sink;
    char file_name[RECORDER_NAME_MAX + sizeof SUFFIX];
    if (message->kind == MESSAGE_OTHER && is_ours(message_kind_of(message->type))) {
        refuse(recorder, "", message->type, " needs a text \"name\", and \"data\" where it creates");
    }
    if (!is_ours(message->kind)) {
        return;
    }
    struct str name = message->data.name;
    if (!stays_inside(name)) {
        refuse_name(recorder, name);
        return;
    }
    snprintf(file_name, sizeof file_name, STR_FMT SUFFIX, STR_ARG(name));
    if (message->kind == MESSAGE_DATA_CREATED) {
        record(recorder, name, file_name, &message->data.data);
    } else {
        purge(recorder, file_name);
    }
}

static void recorder_free(struct sink *sink)
{
    struct recorder *recorder = (struct recorder *)sink;
    while (recorder->file_count > 0) {
        file_forget(recorder, recorder->file_count - 1);
    }
    if (recorder->dir_fd >= 0) {
        close(recorder->dir_fd);
    }
    if (recorder->made) {
        rmdir(recorder->made); /* fails, as it should, when something is in it */
        free(recorder->made);
    }
    buf_done(&recorder->buffer);
    error_done(&recorder->first_failure);
    free(recorder->first_refusal);
    free(recorder);
}

static const struct sink_ops ops = {
    .name = "recorder", .message = recorder_message, .free = recorder_free, .skips = SINK_SKIPS_FIGURES};

int recorder_new(const char *dir, struct recorder **out, struct mite_error *error)
{
    struct recorder *recorder = calloc(1, sizeof *recorder);
    if (!recorder) {
        return error_set(error, MITE_ENOMEM, "out of memory");
    }
    recorder->sink.ops = &ops;
    recorder->dir_fd = -1;
    buf_init(&recorder->buffer, 0);
    dir = dir ? dir : recorder_default_dir();
    bool was_there = access(dir, F_OK) == 0;
    int code = file_open_dir(dir, &recorder->dir_fd, error);
    if (code != 0) {
        recorder_free(&recorder->sink);
        return code;
    }
    recorder->made = was_there ? NULL : realpath(dir, NULL);
    *out = recorder;
    return 0;
}

struct sink *recorder_sink(struct recorder *recorder)
{
    return &recorder->sink;
}

void recorder_count(const struct recorder *recorder, struct recorder_counts *out)
{
    *out = recorder->counts;
}

const char *recorder_first_refusal(const struct recorder *recorder)
{
    return recorder->first_refusal;
}

const char *recorder_first_failure(const struct recorder *recorder)
{
    return recorder->first_failure.code ? recorder->first_failure.text : NULL;
}
