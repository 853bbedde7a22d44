/*
 * What a journey in C reads: values, its arguments, configuration; and its memory.
 */
#include "runner/native_visit.h"

/* ---- memory ---- */

void *mite_alloc(struct mite_context *ctx, size_t size)
{
    void *memory = arena_alloc(ctx->memory, size);

    if (!memory) {
        native_raise(ctx, "MemoryError", STR("MemoryError: no memory for what the journey asked for"));
    }
    return memory;
}

const char *native_copy(struct mite_context *ctx, struct str text)
{
    char *copy = mite_alloc(ctx, text.n + 1);

    memcpy(copy, text.n ? text.p : "", text.n);
    copy[text.n] = '\0';
    return copy;
}

const char *mite_format(struct mite_context *ctx, const char *format, ...)
{
    struct buf *text = &ctx->native->scratch;
    va_list args;

    native_need(ctx, format, "mite_format", "its format");
    buf_clear(text);
    va_start(args, format);
    buf_vprintf(text, format, args);
    va_end(args);
    return native_copy(ctx, buf_view(text));
}

/* ---- looking into values ---- */

static const struct mite_value *find_key(const struct mite_value *map, struct str key)
{
    if (!map || map->type != MITE_TYPE_MAP) {
        return NULL;
    }
    for (uint32_t i = 0; i < map->count; i++) {
        const struct mite_field *field = &map->as.fields[i];
        if (field->key.type == MITE_TYPE_TEXT && str_equal(value_str(native_value(&field->key)), key)) {
            return &field->value;
        }
    }
    return NULL;
}

const struct mite_value *mite_key(const struct mite_value *value, const char *key)
{
    native_need(NULL, key, "mite_key", "its key");
    return find_key(value, str_of(key));
}

static const struct mite_value *find_index(const struct mite_value *list, struct str text)
{
    size_t index = 0;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || index > UINT32_MAX) {
            return NULL;
        }
        index = index * 10 + (size_t)(text.p[i] - '0');
    }
    return text.n ? mite_item(list, index) : NULL;
}

const struct mite_value *mite_find(const struct mite_value *value, const char *path)
{
    while (value && path && *path) {
        size_t n = strcspn(path, ".");
        struct str step = {path, n};
        value = value->type == MITE_TYPE_LIST ? find_index(value, step) : find_key(value, step);
        path += n + (path[n] == '.');
    }
    return value;
}

static const char *type_name(const struct mite_value *value)
{
    return value->type <= MITE_TYPE_MAP ? value_type_name((enum value_type)value->type) : "of no type";
}

static _Noreturn void wrong_type(struct mite_context *ctx, const char *what, const struct mite_value *value,
                                 const char *wanted)
{
    native_fail(ctx, "TypeError", "%s is %s, and %s is wanted", what, type_name(value), wanted);
}

static int64_t as_int(struct mite_context *ctx, const char *what, const struct mite_value *value)
{
    if (value->type == MITE_TYPE_UINT) {
        native_fail(ctx, "TypeError", "%s is %llu, which does not fit an int64_t", what,
                    (unsigned long long)value->as.large);
    }
    if (value->type != MITE_TYPE_INT) {
        wrong_type(ctx, what, value, "an integer");
    }
    return value->as.integer;
}

static double as_float(struct mite_context *ctx, const char *what, const struct mite_value *value)
{
    if (value->type != MITE_TYPE_FLOAT && value->type != MITE_TYPE_INT && value->type != MITE_TYPE_UINT) {
        wrong_type(ctx, what, value, "a number");
    }
    return value_number(native_value(value), 0);
}

static bool as_bool(struct mite_context *ctx, const char *what, const struct mite_value *value)
{
    if (value->type != MITE_TYPE_BOOL) {
        wrong_type(ctx, what, value, "a boolean");
    }
    return value->as.boolean;
}

static struct str as_text(struct mite_context *ctx, const char *what, const struct mite_value *value)
{
    if (value->type != MITE_TYPE_TEXT) {
        wrong_type(ctx, what, value, "a text");
    }
    return value_str(native_value(value));
}

/* What a sentence calls the value at a path. */
static const char *at_path(struct mite_context *ctx, const char *path)
{
    return path && *path ? mite_format(ctx, "\"%s\"", path) : "the value";
}

static const struct mite_value *find_or_fail(struct mite_context *ctx, const struct mite_value *value, const char *path)
{
    const struct mite_value *found = mite_find(value, path);

    if (!found) {
        native_fail(ctx, "TypeError", "there is no %s in the value", at_path(ctx, path));
    }
    return found;
}

int64_t mite_int_at(struct mite_context *ctx, const struct mite_value *value, const char *path)
{
    value = find_or_fail(ctx, value, path);
    return value->type == MITE_TYPE_INT ? value->as.integer : as_int(ctx, at_path(ctx, path), value);
}

double mite_float_at(struct mite_context *ctx, const struct mite_value *value, const char *path)
{
    value = find_or_fail(ctx, value, path);
    return value->type == MITE_TYPE_FLOAT ? value->as.number : as_float(ctx, at_path(ctx, path), value);
}

bool mite_bool_at(struct mite_context *ctx, const struct mite_value *value, const char *path)
{
    value = find_or_fail(ctx, value, path);
    return value->type == MITE_TYPE_BOOL ? value->as.boolean : as_bool(ctx, at_path(ctx, path), value);
}

const char *mite_text_at(struct mite_context *ctx, const struct mite_value *value, const char *path)
{
    value = find_or_fail(ctx, value, path);
    return native_copy(ctx, value->type == MITE_TYPE_TEXT ? value_str(native_value(value))
                                                          : as_text(ctx, at_path(ctx, path), value));
}

/* ---- arguments ---- */

size_t mite_arg_count(struct mite_context *ctx)
{
    return ctx->args.count;
}

const struct mite_value *mite_arg(struct mite_context *ctx, size_t index)
{
    if (index >= ctx->args.count) {
        native_fail(ctx, "TypeError", "the journey wants argument %zu (the first is 0) and was given %u argument%s",
                    index, ctx->args.count,
                    ctx->args.count == 0  ? "s: does it need a datapool?"
                    : ctx->args.count > 1 ? "s"
                                          : "");
    }
    return native_public(&ctx->args.items[index]);
}

static const char *argument(struct mite_context *ctx, size_t index)
{
    return mite_format(ctx, "argument %zu", index);
}

int64_t mite_arg_int(struct mite_context *ctx, size_t index)
{
    const struct mite_value *value = mite_arg(ctx, index);

    return value->type == MITE_TYPE_INT ? value->as.integer : as_int(ctx, argument(ctx, index), value);
}

double mite_arg_float(struct mite_context *ctx, size_t index)
{
    const struct mite_value *value = mite_arg(ctx, index);

    return value->type == MITE_TYPE_FLOAT ? value->as.number : as_float(ctx, argument(ctx, index), value);
}

bool mite_arg_bool(struct mite_context *ctx, size_t index)
{
    const struct mite_value *value = mite_arg(ctx, index);

    return value->type == MITE_TYPE_BOOL ? value->as.boolean : as_bool(ctx, argument(ctx, index), value);
}

/* Texts of arguments have a zero behind (args.h). */
const char *mite_arg_str(struct mite_context *ctx, size_t index)
{
    const struct mite_value *value = mite_arg(ctx, index);

    return value->type == MITE_TYPE_TEXT ? value->as.text : as_text(ctx, argument(ctx, index), value).p;
}

const void *mite_arg_bytes(struct mite_context *ctx, size_t index, size_t *size)
{
    const struct mite_value *value = mite_arg(ctx, index);

    if (value->type != MITE_TYPE_BYTES && value->type != MITE_TYPE_TEXT) {
        wrong_type(ctx, argument(ctx, index), value, "bytes");
    }
    if (size) {
        *size = value->count;
    }
    return value->as.text;
}

/* ---- configuration ---- */

static const struct mite_value *config(struct mite_context *ctx, const char *key, const char *function)
{
    native_need(ctx, key, function, "its key");
    return native_public(config_get(ctx->native->options.config, str_of(key)));
}

/* A copy, here and below: the controller may change the configuration while the journey runs. */
const struct mite_value *mite_config_value(struct mite_context *ctx, const char *key)
{
    const struct mite_value *value = config(ctx, key, "mite_config_value");
    struct value *copy = value ? mite_alloc(ctx, sizeof *copy) : NULL;

    if (copy && value_copy(ctx->memory, native_value(value), copy) < 0) {
        native_raise(ctx, "MemoryError", STR("MemoryError: no memory for a configuration value"));
    }
    return native_public(copy);
}

static const char *config_key(struct mite_context *ctx, const char *key)
{
    return mite_format(ctx, "configuration key \"%s\"", key);
}

const char *mite_config(struct mite_context *ctx, const char *key, const char *fallback)
{
    const struct mite_value *value = config(ctx, key, "mite_config");

    if (value && value->type != MITE_TYPE_TEXT) {
        wrong_type(ctx, config_key(ctx, key), value, "a text");
    }
    return value ? native_copy(ctx, value_str(native_value(value))) : fallback;
}

int64_t mite_config_int(struct mite_context *ctx, const char *key, int64_t fallback)
{
    const struct mite_value *value = config(ctx, key, "mite_config_int");
    long long number;

    if (!value) {
        return fallback;
    }
    if (value->type == MITE_TYPE_INT) {
        return value->as.integer;
    }
    if (value->type != MITE_TYPE_TEXT || !str_to_int64(value->as.text, &number)) {
        native_fail(ctx, "TypeError", "%s is %s%s%s, and an integer is wanted", config_key(ctx, key),
                    value->type == MITE_TYPE_TEXT ? "\"" : "",
                    value->type == MITE_TYPE_TEXT ? value->as.text : type_name(value),
                    value->type == MITE_TYPE_TEXT ? "\"" : "");
    }
    return number;
}

double mite_config_float(struct mite_context *ctx, const char *key, double fallback)
{
    const struct mite_value *value = config(ctx, key, "mite_config_float");
    double number;

    if (!value) {
        return fallback;
    }
    if (value->type != MITE_TYPE_TEXT) {
        return as_float(ctx, config_key(ctx, key), value);
    }
    if (!str_to_double(value->as.text, &number)) {
        native_fail(ctx, "TypeError", "%s is \"%s\", and a number is wanted", config_key(ctx, key), value->as.text);
    }
    return number;
}

/* ---- what messages can carry ---- */

void native_fields(struct mite_context *ctx, const char *function, const struct mite_field *fields, size_t count,
                   struct field *out)
{
    struct mite_error error; /* half a kilobyte that is left alone unless something fails */

    if (count > 0) {
        native_need(ctx, fields, function, "its fields");
    }
    error.detail = NULL;
    for (size_t i = 0; i < count; i++) {
        struct str key = value_str(native_value(&fields[i].key));
        if (!key.p || fields[i].key.type != MITE_TYPE_TEXT || !str_is_utf8(key)) {
            native_fail(ctx, "TypeError", "%s(): field %zu has no name, a text in UTF-8", function, i + 1);
        }
        if (value_check(native_value(&fields[i].value), &error) < 0) {
            native_fail(ctx, "TypeError", "field \"" STR_FMT "\": %s", STR_ARG(key), error.text);
        }
        out[i] = (struct field){key, *native_value(&fields[i].value)};
    }
}
