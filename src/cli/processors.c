#include "cli/processors.h"
#include "python/api.h"

#include <stdlib.h>
#include <string.h>

static int value_of(const struct options *options, const struct option *option, struct arena *arena, struct value *out)
{
    const void *field = (const char *)options + option->offset;

    switch (option->kind) {
    case OPTION_FLAG:
    case OPTION_ON_OFF:
        *out = value_bool(*(const bool *)field);
        return 0;
    case OPTION_OFF:
        *out = value_bool(!*(const bool *)field);
        return 0;
    case OPTION_INTEGER:
        *out = value_int(*(const int64_t *)field);
        return 0;
    case OPTION_NUMBER:
        *out = value_float(*(const double *)field);
        return 0;
    case OPTION_TEXT:
    case OPTION_LEVEL: {
        const char *text = *(const char *const *)field;

        *out = text ? value_text(str_of(text)) : value_nil();
        return 0;
    }
    case OPTION_LIST: {
        const struct option_list *list = field;
        struct value *items = arena_alloc(arena, (list->count + 1) * sizeof(*items));

        if (!items) {
            return MITE_ENOMEM;
        }
        for (size_t i = 0; i < list->count; i++) {
            items[i] = value_text(str_of(list->items[i]));
        }
        *out = value_list(items, (uint32_t)list->count);
        return 0;
    }
    }
    return 0;
}

int options_to_value(const struct options *options, struct arena *arena, struct value *out)
{
    struct pair *pairs = arena_alloc(arena, option_count * sizeof(*pairs));

    for (size_t i = 0; pairs && i < option_count; i++) {
        char *key = arena_alloc(arena, strlen(option_table[i].name) + 3);

        if (!key || value_of(options, &option_table[i], arena, &pairs[i].value) < 0) {
            return MITE_ENOMEM;
        }
        strcpy(key, "--");
        strcat(key, option_table[i].name);
        pairs[i].key = value_text(str_of(key));
    }
    if (!pairs) {
        return MITE_ENOMEM;
    }
    *out = value_map(pairs, (uint32_t)option_count);
    return 0;
}

static int load_user(struct processors *processors, const struct options *options, const struct python_api *python,
                     const char *spec, struct mite_error *error)
{
    struct arena arena;
    struct value map;
    int rc;

    if (processors->count == PROCESSORS_MAX) {
        return error_set(error, MITE_ELIMIT, "--message-processors: at most %d of them", PROCESSORS_MAX);
    }
    arena_init(&arena, 1 << 20);
    rc = options_to_value(options, &arena, &map);
    if (rc < 0) {
        error_set(error, rc, "out of memory");
    } else {
        rc = python->load_processor(spec, &map, &processors->sinks[processors->count], error);
    }
    arena_done(&arena);
    if (rc < 0) {
        return error_prefix(error, "--message-processors");
    }
    processors->count++;
    return 0;
}

/* The flag of a processor that is built in; NULL: it is the user's. */
static bool *built_in(struct processors *processors, const char *spec)
{
    static const char module[] = "mite.logoutput";

    if (strncmp(spec, module, sizeof(module) - 1) != 0 || !strchr(".:", spec[sizeof(module) - 1])) {
        return NULL;
    }
    const char *name = spec + sizeof(module);
    return strcmp(name, "HttpStatsOutput") == 0      ? &processors->http_stats
           : strcmp(name, "MsgOutput") == 0          ? &processors->message_log
           : strcmp(name, "DebugMessageOutput") == 0 ? &processors->debug_messages
                                                     : NULL;
}

static int load_one(struct processors *processors, const struct options *options, const struct python_api *python,
                    const char *spec, struct mite_error *error)
{
    bool *own = built_in(processors, spec);

    if (own) {
        *own = true;
        return 0;
    }
    return load_user(processors, options, python, spec, error);
}

int processors_load(struct processors *processors, const struct options *options, const struct python_api *python,
                    struct mite_error *error)
{
    *processors = (struct processors){0};
    if (!options->message_processors) {
        processors->http_stats = processors->message_log = processors->debug_messages = true;
        return 0;
    }

    char *specs = str_copy(str_of(options->message_processors)), *rest = specs;
    int rc = specs ? 0 : error_set(error, MITE_ENOMEM, "out of memory");

    for (char *spec; rc == 0 && (spec = strsep(&rest, ","));) {
        if (*spec) {
            rc = load_one(processors, options, python, spec, error);
        }
    }
    free(specs);
    return rc;
}

bool processors_need_python(const struct options *options)
{
    struct processors none;
    char *specs = options->message_processors ? str_copy(str_of(options->message_processors)) : NULL, *rest = specs;
    bool needed = options->message_processors && !specs;

    for (char *spec; rest && (spec = strsep(&rest, ","));) {
        needed = needed || (*spec && !built_in(&none, spec));
    }
    free(specs);
    return needed;
}

void processors_free(struct processors *processors)
{
    for (size_t i = 0; i < processors->count; i++) {
        sink_free(processors->sinks[i]);
    }
    processors->count = 0;
}
