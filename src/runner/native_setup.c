/*
 * Design notes. A setup keeps a reference to every pool that it made, and each volume model until mite_add() takes it;
 * what is left goes with the setup. After the first failure nothing is made any more, so that its sentence stands.
 */
#include "runner/native_setup.h"

#define MITE_IMPLEMENTATION
#include "mite/mite.h"

#include "scenario/function_models.h"
#include "scenario/item_files.h"

#include <stdio.h>
#include <stdlib.h>

#define MADE_MAX 4096 /* pools, and models, of one scenario */

struct mite_setup {
    const struct native_setup *how;
    const char *spec;          /* borrowed: of what is made */
    struct scenario *scenario; /* NULL: a datapool is made */
    struct arena arena;
    struct mite_error error;
    struct datapool *pools[MADE_MAX];
    struct volume_model *models[MADE_MAX];
    size_t pool_count, model_count;
};

static bool failed(const struct mite_setup *setup)
{
    return setup->error.code < 0;
}

static int setup_begin(const struct native_setup *how, const char *spec, struct scenario *scenario,
                       struct mite_setup **out, struct mite_error *error)
{
    struct mite_setup *setup = calloc(1, sizeof *setup);

    if (!setup) {
        return error_set(error, MITE_ENOMEM, "no memory for a scenario");
    }
    setup->how = how;
    setup->spec = spec;
    setup->scenario = scenario;
    arena_init(&setup->arena, 0);
    *out = setup;
    return 0;
}

/* Hands over the error; the code. */
static int setup_end(struct mite_setup *setup, const char *what, const char *spec, struct mite_error *error)
{
    int rc = setup->error.code;

    for (size_t i = 0; i < setup->pool_count; i++) {
        datapool_unref(setup->pools[i]);
    }
    for (size_t i = 0; i < setup->model_count; i++) {
        volume_model_free(setup->models[i]);
    }
    if (rc < 0) {
        error_set(error, rc, "%s", setup->error.text);
        error_prefix(error, "cannot use %s \"%s\"", what, spec);
        if (setup->error.detail) {
            error_detail(error, setup->error.detail, strlen(setup->error.detail));
        }
    }
    error_done(&setup->error);
    arena_done(&setup->arena);
    free(setup);
    return rc;
}

/* ":NAME" is what that name is in the file of what is made, whatever that file is called now: shop.c or ./shop.so. In
 * the setup's memory or as it was; NULL without a spec or without memory. */
static const char *whole_spec(struct mite_setup *setup, const char *spec)
{
    const char *colon = strrchr(setup->spec, ':');
    size_t file = (size_t)(colon - setup->spec), name = spec ? strlen(spec) : 0;

    if (!spec || spec[0] != ':') {
        return spec;
    }

    char *whole = arena_alloc(&setup->arena, file + name + 1);

    if (whole) {
        memcpy(whole, setup->spec, file);
        memcpy(whole + file, spec, name + 1);
    }
    return whole;
}

int native_datapool(const struct native_setup *how, const char *spec, struct datapool **out, struct mite_error *error)
{
    const struct mite_entry *entry = NULL;
    struct mite_setup *setup = NULL;
    int rc = loader_find(how->loader, MITE_ENTRY_DATAPOOL, spec, &entry, error);

    if (rc == 0) {
        rc = setup_begin(how, spec, NULL, &setup, error);
    }
    if (rc != 0) {
        return rc;
    }
    struct mite_datapool *(*make)(struct mite_setup *) =
        (struct mite_datapool * (*)(struct mite_setup *)) entry->function;
    struct datapool *pool = (struct datapool *)make(setup);
    if (!pool && !failed(setup)) {
        error_set(&setup->error, MITE_EINVAL, "it returned NULL");
    }
    if (!failed(setup)) {
        *out = datapool_ref(pool);
    }
    return setup_end(setup, "datapool", spec, error);
}

int native_scenario(const struct native_setup *how, const char *spec, struct scenario *out, struct mite_error *error)
{
    const struct mite_entry *entry = NULL;
    struct mite_setup *setup = NULL;
    int rc = loader_find(how->loader, MITE_ENTRY_SCENARIO, spec, &entry, error);

    if (rc == 0) {
        rc = setup_begin(how, spec, out, &setup, error);
    }
    if (rc != 0) {
        return rc;
    }
    if (scenario_init(out, spec) < 0) {
        error_set(&setup->error, MITE_ENOMEM, "no memory for it");
    } else {
        ((void (*)(struct mite_setup *))entry->function)(setup);
        if (out->count == 0 && !failed(setup)) {
            error_set(&setup->error, MITE_EINVAL, "it adds no journey");
        }
    }
    rc = setup_end(setup, "scenario", spec, error);
    if (rc < 0) {
        scenario_done(out);
    }
    return rc;
}

/* ---- for authors ---- */

void mite_setup_fail(struct mite_setup *setup, const char *format, ...)
{
    char text[sizeof setup->error.text] = "mite_setup_fail() was given NULL for its format";
    va_list args;

    va_start(args, format);
    if (format) {
        vsnprintf(text, sizeof text, format, args);
    }
    va_end(args);
    if (!failed(setup)) {
        error_set(&setup->error, MITE_EINVAL, "%s", text);
    }
}

/* False: a failure is kept, by now. */
static bool given(struct mite_setup *setup, const void *pointer, const char *function, const char *what)
{
    if (!pointer) {
        mite_setup_fail(setup, "%s() was given NULL for %s", function, what);
    }
    return !failed(setup);
}

const char *mite_setup_config(struct mite_setup *setup, const char *key, const char *fallback)
{
    const struct value *value =
        given(setup, key, "mite_setup_config", "its key") ? config_get(setup->how->config, str_of(key)) : NULL;

    return value && value->type == VALUE_TEXT ? value->text : fallback;
}

void *mite_setup_alloc(struct mite_setup *setup, size_t size)
{
    return arena_alloc(&setup->arena, size);
}

/* ---- datapools ---- */

/* Takes the pool, or the failure of whoever was to make it. */
static struct mite_datapool *keep_pool(struct mite_setup *setup, int rc, struct datapool *pool)
{
    if (rc == 0 && setup->pool_count == MADE_MAX) {
        datapool_unref(pool);
        rc = error_set(&setup->error, MITE_ELIMIT, "more than %d datapools", MADE_MAX);
    }
    if (rc < 0) {
        setup->error.code = rc;
        return NULL;
    }
    setup->pools[setup->pool_count++] = pool;
    return (struct mite_datapool *)pool;
}

/* Before anything is read for it. */
static bool is_kind(struct mite_setup *setup, enum mite_pool_kind kind)
{
    if (kind != MITE_RECYCLABLE && kind != MITE_ITERABLE) {
        mite_setup_fail(setup, "a datapool is MITE_RECYCLABLE or MITE_ITERABLE, not %d", (int)kind);
    }
    return !failed(setup);
}

/* Of items, unless reading them has failed with `rc`. */
static struct mite_datapool *pool_of(struct mite_setup *setup, int rc, enum mite_pool_kind kind,
                                     const struct value *items)
{
    struct datapool *pool = NULL;

    if (rc == 0) {
        rc = kind == MITE_RECYCLABLE ? datapool_recyclable_new(items, &pool, &setup->error)
                                     : datapool_iterable_new(items, &pool, &setup->error);
    }
    return keep_pool(setup, rc, pool);
}

struct mite_datapool *mite_pool_array(struct mite_setup *setup, enum mite_pool_kind kind,
                                      const struct mite_value *items, size_t count)
{
    struct value list = value_list((const struct value *)items, (uint32_t)count);

    if (!given(setup, items, "mite_pool_items", "its items") || !is_kind(setup, kind)) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (value_check(&list.items[i], &setup->error) < 0) {
            error_prefix(&setup->error, "item %zu of a datapool", i);
            return NULL;
        }
    }
    return pool_of(setup, 0, kind, &list);
}

struct mite_datapool *mite_pool_function(struct mite_setup *setup, enum mite_pool_kind kind,
                                         bool (*next)(void *arg, uint64_t index, struct mite_value *item), void *arg)
{
    item_function *function = (item_function *)next;
    struct datapool *pool = NULL;
    struct value items;

    if (!given(setup, (void *)next, "mite_pool_function", "its function") || !is_kind(setup, kind)) {
        return NULL;
    }
    if (kind == MITE_ITERABLE) {
        int rc = datapool_function_new(function, arg, &pool, &setup->error);
        return keep_pool(setup, rc, pool);
    }
    int rc = items_from_function(&setup->arena, function, arg, &items, &setup->error);
    return pool_of(setup, rc, kind, &items);
}

struct mite_datapool *mite_pool_csv_file(struct mite_setup *setup, enum mite_pool_kind kind, const char *path,
                                         const struct mite_csv_options *wanted)
{
    struct mite_csv_options options = {0};
    struct value items;

    if (!given(setup, path, "mite_pool_csv", "its path") || !is_kind(setup, kind)) {
        return NULL;
    }
    if (wanted) {
        memcpy(&options, wanted, wanted->size < sizeof options ? wanted->size : sizeof options);
    }
    struct csv_options csv = {.columns = options.columns,
                              .separator = options.separator ? options.separator : ',',
                              .header = !options.no_header,
                              .numbers = options.numbers};
    int rc = items_from_csv(&setup->arena, path, &csv, &items, &setup->error);
    return pool_of(setup, rc, kind, &items);
}

struct mite_datapool *mite_pool_jsonl(struct mite_setup *setup, enum mite_pool_kind kind, const char *path,
                                      const char *fields)
{
    struct value items;

    if (!given(setup, path, "mite_pool_jsonl", "its path") || !is_kind(setup, kind)) {
        return NULL;
    }
    int rc = items_from_json_lines(&setup->arena, path, fields, &items, &setup->error);
    return pool_of(setup, rc, kind, &items);
}

struct mite_datapool *mite_pool_recorded(struct mite_setup *setup, enum mite_pool_kind kind, const char *path,
                                         const char *fields)
{
    struct value items;

    if (!given(setup, path, "mite_pool_recorded", "its path") || !is_kind(setup, kind)) {
        return NULL;
    }
    int rc = items_from_records(&setup->arena, path, fields, &items, &setup->error);
    return pool_of(setup, rc, kind, &items);
}

struct mite_datapool *mite_pool(struct mite_setup *setup, const char *spec)
{
    struct datapool *pool = NULL;

    if (!given(setup, spec, "mite_pool", "its spec")) {
        return NULL;
    }
    const char *whole = whole_spec(setup, spec);
    int rc = whole ? setup->how->load_datapool(setup->how->arg, whole, &pool, &setup->error)
                   : error_set(&setup->error, MITE_ENOMEM, "no memory for a datapool");
    return keep_pool(setup, rc, pool);
}

/* ---- volume models ---- */

static struct mite_volume *keep_model(struct mite_setup *setup, int rc, struct volume_model *model)
{
    if (rc == 0 && setup->model_count == MADE_MAX) {
        volume_model_free(model);
        rc = error_set(&setup->error, MITE_ELIMIT, "more than %d volume models", MADE_MAX);
    }
    if (rc < 0) {
        setup->error.code = rc;
        return NULL;
    }
    setup->models[setup->model_count++] = model;
    return (struct mite_volume *)model;
}

struct mite_volume *mite_volume_chain(struct mite_setup *setup, const struct mite_stretch *from, size_t count)
{
    static const enum volume_stretch_kind kinds[] = {VOLUME_NOTHING, VOLUME_NOTHING, VOLUME_CONSTANT, VOLUME_RAMP};
    struct volume_stretch *stretches = arena_alloc(&setup->arena, count * sizeof *stretches);
    struct volume_model *model = NULL;

    if (!given(setup, from, "mite_volume", "its stretches")) {
        return NULL;
    }
    if (!stretches) {
        return keep_model(setup, error_set(&setup->error, MITE_ENOMEM, "no memory for a volume model"), NULL);
    }
    for (size_t i = 0; i < count; i++) {
        stretches[i] = (struct volume_stretch){
            .kind = from[i].kind >= 1 && from[i].kind <= 3 ? kinds[from[i].kind] : VOLUME_NOTHING,
            .duration_s = from[i].seconds,
            .from = from[i].from,
            .to = from[i].to,
            .has_from = from[i].has_from,
            .has_to = from[i].has_to,
        };
    }
    int rc = volume_chain_new(stretches, count, &model, &setup->error);
    return keep_model(setup, rc, model);
}

struct mite_volume *mite_volume_function(struct mite_setup *setup,
                                         int64_t (*volume)(void *arg, int64_t start_s, int64_t end_s), void *arg)
{
    struct volume_model *model = NULL;

    if (!given(setup, (void *)volume, "mite_volume_function", "its function")) {
        return NULL;
    }
    int rc = volume_function_new(volume, arg, &model, &setup->error);
    return keep_model(setup, rc, model);
}

/* ---- the scenario ---- */

/* The number of models where it is none of them. */
static size_t index_of(const struct mite_setup *setup, const struct volume_model *model)
{
    size_t i = 0;

    while (i < setup->model_count && setup->models[i] != model) {
        i++;
    }
    return i;
}

void mite_add(struct mite_setup *setup, const char *journey_spec, struct mite_datapool *pool,
              struct mite_volume *volume)
{
    struct volume_model *model = (struct volume_model *)volume;
    struct datapool *counted = (struct datapool *)pool;
    size_t index = index_of(setup, model);

    if (failed(setup)) {
        return;
    }

    const char *spec = whole_spec(setup, journey_spec);

    if (!setup->scenario) {
        mite_setup_fail(setup, "mite_add() belongs in a scenario");
    } else if (!spec || spec_split(spec, NULL, NULL, &setup->error) < 0) {
        mite_setup_fail(setup, "journey %zu has no spec", setup->scenario->count + 1);
    } else if (index == setup->model_count) {
        mite_setup_fail(setup, "journey \"%s\" %s", spec,
                        volume ? "is given a volume model that another one has: make one for each"
                               : "has no volume model");
    } else if (scenario_add(setup->scenario, spec, datapool_ref(counted), model, &setup->error) < 0) {
        datapool_unref(counted);
    } else {
        setup->models[index] = setup->models[--setup->model_count]; /* it is the scenario's from now on */
    }
}
