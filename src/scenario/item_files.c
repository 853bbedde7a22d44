#include "scenario/item_files.h"

#include "base/buf.h"
#include "scenario/value_list.h"
#include "value/json.h"
#include "value/msgpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FIELDS 256

/* ---- files ---- */

/* A pipe would be waited for without end, a device might never end. */
static int open_file(const char *path, FILE **out, struct mite_error *error)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), rc = 0;
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0) {
        rc = error_errno(error, errno, "cannot read the datapool file %s", path);
    } else if (S_ISDIR(status.st_mode)) {
        rc = error_set(error, MITE_EINVAL, "the datapool file %s is a directory: name a file in it", path);
    } else if (!S_ISREG(status.st_mode)) {
        rc =
            error_set(error, MITE_EINVAL, "the datapool file %s is a pipe or a device: write it to a file first", path);
    } else if (!(*out = fdopen(fd, "rb"))) {
        rc = error_errno(error, errno, "cannot read the datapool file %s", path);
    }
    if (rc < 0 && fd >= 0) {
        close(fd);
    }
    return rc;
}

static int read_file(const char *path, struct buf *out, struct mite_error *error)
{
    char block[65536];
    FILE *file = NULL;
    size_t n;
    int rc = open_file(path, &file, error);

    if (rc < 0) {
        return rc;
    }
    while ((n = fread(block, 1, sizeof block, file)) > 0 && buf_append(out, block, n) == 0) {
    }
    bool broken = ferror(file);
    fclose(file);
    if (out->failed) {
        return error_set(error, MITE_ENOMEM, "the datapool file %s is too large", path);
    }
    return broken ? error_set(error, MITE_EIO, "cannot read the datapool file %s", path) : 0;
}

static struct str skip_byte_order_mark(struct str text)
{
    static const struct str mark = STR("\xef\xbb\xbf");
    bool marked = text.n >= mark.n && memcmp(text.p, mark.p, mark.n) == 0;

    return marked ? (struct str){text.p + mark.n, text.n - mark.n} : text;
}

/* ---- which columns or fields ---- */

struct choice {
    struct str names[MAX_FIELDS];
    size_t count;
};

/* "a,b,c"; NULL chooses nothing. */
static int split_names(const char *text, struct choice *out, struct mite_error *error)
{
    out->count = 0;
    while (text && *text) {
        size_t n = strcspn(text, ",");
        if (out->count == MAX_FIELDS) {
            return error_set(error, MITE_ELIMIT, "more than %d fields", MAX_FIELDS);
        }
        out->names[out->count++] = (struct str){text, n};
        text += n + (text[n] == ',');
    }
    return 0;
}

static const struct value *field_of(const struct value *map, struct str name)
{
    for (uint32_t i = 0; map->type == VALUE_MAP && i < map->count; i++) {
        if (map->pairs[i].key.type == VALUE_TEXT && str_equal(value_str(&map->pairs[i].key), name)) {
            return &map->pairs[i].value;
        }
    }
    return NULL;
}

/* What a record becomes: its chosen fields, or itself. `where` is for the sentence. */
static int item_of(struct arena *arena, const struct value *record, const struct choice *fields, const char *path,
                   const char *what, size_t number, struct value *out, struct mite_error *error)
{
    size_t count = fields->count ? fields->count : 1;

    if (fields->count == 0 && record->type == VALUE_LIST) {
        *out = *record;
        return 0;
    }
    struct value *items = arena_alloc(arena, count * sizeof *items);
    if (!items) {
        return error_set(error, MITE_ENOMEM, "no memory for the items of a datapool");
    }
    items[0] = *record;
    for (size_t i = 0; i < fields->count; i++) {
        const struct value *value = field_of(record, fields->names[i]);
        if (!value) {
            return error_set(error, MITE_EINVAL, "%s %zu of %s has no field \"" STR_FMT "\"%s", what, number, path,
                             STR_ARG(fields->names[i]), record->type == VALUE_MAP ? "" : ": it is no map");
        }
        items[i] = *value;
    }
    *out = value_list(items, (uint32_t)count);
    return 0;
}

/* ---- JSON lines and records ---- */

/* Takes one record from the front of `rest`; an empty line gives none (*found false). */
typedef int take_record(struct arena *arena, struct str *rest, struct value *out, bool *found,
                        struct mite_error *error);

static int take_line(struct arena *arena, struct str *rest, struct value *out, bool *found, struct mite_error *error)
{
    const char *end = memchr(rest->p, '\n', rest->n);
    struct str line = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
    size_t used = line.n + (end != NULL);

    rest->p += used;
    rest->n -= used;
    while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' ')) {
        line.n--;
    }
    *found = line.n > 0;
    return *found ? json_read(arena, line, out, error) : 0;
}

static int take_msgpack(struct arena *arena, struct str *rest, struct value *out, bool *found, struct mite_error *error)
{
    size_t used = 0;
    int rc = msgpack_read(arena, *rest, &used, out, error);

    if (rc == MITE_EAGAIN) {
        return error_set(error, MITE_EPROTO, "the file ends in the middle of it");
    }
    rest->p += used;
    rest->n -= used;
    *found = true;
    return rc;
}

static int collect(struct arena *arena, struct str rest, take_record *take, const struct choice *fields,
                   const char *path, const char *what, struct value_items *items, struct mite_error *error)
{
    struct value record, item;
    bool found;

    for (size_t number = 1; rest.n > 0; number++) {
        int rc = take(arena, &rest, &record, &found, error);
        if (rc < 0) {
            error_prefix(error, "%s %zu of %s", what, number, path);
            return rc;
        }
        if (found) {
            rc = item_of(arena, &record, fields, path, what, number, &item, error);
            if (rc == 0 && value_items_add(items, &item) < 0) {
                rc = error_set(error, MITE_ENOMEM, "no memory for the items of %s", path);
            }
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* A load without a single journey would look like a success. */
static int finish(struct value_items *items, struct arena *arena, const char *path, struct value *out,
                  struct mite_error *error)
{
    if (items->count == 0) {
        return error_set(error, MITE_EINVAL, "the datapool file %s has no items", path);
    }
    return value_items_finish(items, arena, out) == 0
               ? 0
               : error_set(error, MITE_ENOMEM, "no memory for the items of a datapool");
}

static int read_records(struct arena *arena, const char *path, const char *fields, take_record *take, const char *what,
                        struct value *out, struct mite_error *error)
{
    struct choice choice;
    struct value_items items = {0};
    struct buf file;
    int rc = split_names(fields, &choice, error);

    buf_init(&file, ITEM_FILE_MAX_BYTES);
    if (rc == 0) {
        rc = read_file(path, &file, error);
    }
    if (rc == 0) {
        struct str text = take == take_line ? skip_byte_order_mark(buf_view(&file)) : buf_view(&file);
        rc = collect(arena, text, take, &choice, path, what, &items, error);
    }
    if (rc == 0) {
        rc = finish(&items, arena, path, out, error);
    }
    value_items_done(&items);
    buf_done(&file);
    return rc;
}

int items_from_json_lines(struct arena *arena, const char *path, const char *fields, struct value *out,
                          struct mite_error *error)
{
    return read_records(arena, path, fields, take_line, "line", out, error);
}

int items_from_records(struct arena *arena, const char *path, const char *fields, struct value *out,
                       struct mite_error *error)
{
    return read_records(arena, path, fields, take_msgpack, "record", out, error);
}

/* ---- CSV ---- */

struct csv {
    struct arena *arena;
    const char *path;
    const struct csv_options *options;
    const char *at, *end;
    size_t line; /* of the row under way, from 1 */
    struct value cells[MAX_FIELDS];
    size_t cell_count;
    size_t columns[MAX_FIELDS]; /* indexes of the chosen ones */
    size_t column_count;        /* 0: all */
};

/* A quoted cell, its quotes doubled inside. */
static int take_quoted(struct csv *csv, struct str *out, size_t *lines, struct mite_error *error)
{
    const char *start = ++csv->at;
    size_t n = 0;

    for (; csv->at < csv->end && !(*csv->at == '"' && (csv->at + 1 == csv->end || csv->at[1] != '"')); csv->at++) {
        csv->at += *csv->at == '"';
        *lines += *csv->at == '\n';
    }
    if (csv->at == csv->end) {
        return error_set(error, MITE_EPROTO, "line %zu of %s: a quote is not closed", csv->line, csv->path);
    }
    char *copy = arena_alloc(csv->arena, (size_t)(csv->at - start) + 1);
    if (!copy) {
        return error_set(error, MITE_ENOMEM, "no memory for the items of %s", csv->path);
    }
    for (const char *p = start; p < csv->at; p++) {
        p += *p == '"';
        copy[n++] = *p;
    }
    csv->at++;
    *out = (struct str){copy, n};
    return 0;
}

static struct value cell_value(const struct csv *csv, struct str text, bool quoted)
{
    long long integer;
    double number;

    if (csv->options->numbers && !quoted && str_to_int64(text.p, &integer)) {
        return value_int(integer);
    }
    if (csv->options->numbers && !quoted && str_to_double(text.p, &number)) {
        return value_float(number);
    }
    return value_text(text);
}

static int take_cell(struct csv *csv, size_t *lines, struct mite_error *error)
{
    bool quoted = csv->at < csv->end && *csv->at == '"';
    const char *start = csv->at;
    struct str text;
    int rc = 0;

    if (csv->cell_count == MAX_FIELDS) {
        return error_set(error, MITE_ELIMIT, "line %zu of %s has more than %d columns", csv->line, csv->path,
                         MAX_FIELDS);
    }
    if (quoted) {
        rc = take_quoted(csv, &text, lines, error);
    } else {
        while (csv->at < csv->end && *csv->at != csv->options->separator && *csv->at != '\n' && *csv->at != '\r') {
            csv->at++;
        }
        text = (struct str){start, (size_t)(csv->at - start)};
    }
    if (rc == 0) {
        text = arena_str(csv->arena, text);
        rc = text.p ? 0 : error_set(error, MITE_ENOMEM, "no memory for the items of %s", csv->path);
    }
    if (rc == 0 && !str_is_utf8(text)) {
        rc = error_set(error, MITE_EPROTO, "line %zu of %s is not UTF-8", csv->line, csv->path);
    }
    if (rc == 0) {
        csv->cells[csv->cell_count++] = cell_value(csv, text, quoted);
    }
    return rc;
}

static bool at_line_end(const struct csv *csv)
{
    return *csv->at == '\n' || *csv->at == '\r';
}

/* The next row that is not empty, into the cells; none at the end. */
static int take_row(struct csv *csv, struct mite_error *error)
{
    size_t lines = 0;
    int rc = 0;

    csv->cell_count = 0;
    while (csv->at < csv->end && at_line_end(csv)) {
        csv->line += *csv->at++ == '\n';
    }
    for (bool more = csv->at < csv->end; more;) { /* also behind a separator at the end: an empty cell */
        rc = take_cell(csv, &lines, error);
        more = rc == 0 && csv->at < csv->end && !at_line_end(csv);
        if (more && *csv->at++ != csv->options->separator) {
            rc = error_set(error, MITE_EPROTO, "line %zu of %s: there is text behind a closing quote", csv->line,
                           csv->path);
            more = false;
        }
    }
    csv->line += lines;
    return rc;
}

static int find_column(const struct csv *csv, struct str name, size_t *out, struct mite_error *error)
{
    char text[32] = "";
    long long number;

    for (size_t i = 0; csv->options->header && i < csv->cell_count; i++) {
        if (str_equal(value_str(&csv->cells[i]), name)) {
            *out = i;
            return 0;
        }
    }
    memcpy(text, name.p, name.n < sizeof text ? name.n : 0);
    if (!csv->options->header && str_to_int64(text, &number) && number >= 1 && number <= MAX_FIELDS) {
        *out = (size_t)number - 1;
        return 0;
    }
    return error_set(error, MITE_EINVAL, "%s has no column \"" STR_FMT "\"%s", csv->path, STR_ARG(name),
                     csv->options->header ? " in its first line" : ": without a header columns are numbers, from 1");
}

/* The header's cells are texts, whatever the options say of numbers. */
static int choose_columns(struct csv *csv, struct mite_error *error)
{
    struct choice choice;
    int rc = split_names(csv->options->columns, &choice, error);

    for (size_t i = 0; rc == 0 && i < choice.count; i++) {
        rc = find_column(csv, choice.names[i], &csv->columns[i], error);
    }
    csv->column_count = choice.count;
    return rc;
}

static int add_row(struct csv *csv, struct value_items *items, struct mite_error *error)
{
    size_t count = csv->column_count ? csv->column_count : csv->cell_count;
    struct value *cells = arena_alloc(csv->arena, count * sizeof *cells);

    for (size_t i = 0; cells && i < count; i++) {
        size_t column = csv->column_count ? csv->columns[i] : i;
        if (column >= csv->cell_count) {
            return error_set(error, MITE_EPROTO, "line %zu of %s has %zu columns, and column %zu is wanted", csv->line,
                             csv->path, csv->cell_count, column + 1);
        }
        cells[i] = csv->cells[column];
    }
    struct value row = value_list(cells, (uint32_t)count);
    return cells && value_items_add(items, &row) == 0
               ? 0
               : error_set(error, MITE_ENOMEM, "no memory for the items of %s", csv->path);
}

static int read_rows(struct csv *csv, struct value_items *items, struct mite_error *error)
{
    struct csv_options as_text = *csv->options;
    const struct csv_options *options = csv->options;
    int rc = 0;

    if (options->header) {
        as_text.numbers = false;
        csv->options = &as_text;
        rc = take_row(csv, error);
    }
    if (rc == 0) {
        rc = choose_columns(csv, error);
    }
    csv->options = options;
    while (rc == 0) {
        rc = take_row(csv, error);
        if (rc < 0 || csv->cell_count == 0) {
            break;
        }
        rc = add_row(csv, items, error);
    }
    return rc;
}

int items_from_csv(struct arena *arena, const char *path, const struct csv_options *options, struct value *out,
                   struct mite_error *error)
{
    struct csv *csv = calloc(1, sizeof *csv);
    struct value_items items = {0};
    struct buf file;
    int rc = csv ? 0 : error_set(error, MITE_ENOMEM, "no memory to read %s", path);

    buf_init(&file, ITEM_FILE_MAX_BYTES);
    if (rc == 0 && memchr("\"\r\n", options->separator, 3)) {
        rc = error_set(error, MITE_EINVAL, "the columns of a CSV file are not separated by a quote or a line's end");
    }
    if (rc == 0) {
        rc = read_file(path, &file, error);
    }
    if (rc == 0) {
        struct str text = skip_byte_order_mark(buf_view(&file));
        *csv = (struct csv){.arena = arena, .path = path, .options = options, .line = 1};
        csv->at = text.p;
        csv->end = text.p + text.n;
        rc = read_rows(csv, &items, error);
    }
    if (rc == 0) {
        rc = finish(&items, arena, path, out, error);
    }
    value_items_done(&items);
    buf_done(&file);
    free(csv);
    return rc;
}
