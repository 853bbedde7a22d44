#include "worker/local.h"

#include "worker/directed.h"
#include "worker/leases.h"

#include <stdlib.h>

#define RUNNER_ID 1 /* the only one that it has */

struct local_entry {
    struct leased_pool *pool; /* the scenario's; NULL: none */
    bool recycles;
    int64_t reported_started; /* in the report that is under way, or was the last */
};

struct local {
    struct local_options options;
    struct scenario scenario;
    struct controller *controller;
    struct local_entry *entries; /* owned; one for each of the scenario's */
    bool stopped;
};

static size_t index_of(int64_t scenario_id)
{
    return (size_t)scenario_id - 1;
}

/* ---- life ---- */

static int check_entries(const struct work_orders *orders, struct mite_error *error)
{
    for (size_t i = 0; i < orders->entry_count; i++) {
        const struct work_entry_orders *entry = &orders->entries[i];
        if (index_of(entry->scenario_id) != i || !entry->journey_spec.p) {
            return error_set(error, MITE_EPROTO,
                             "the controller's entries make no sense: number %zu has id %lld and %s journey", i + 1,
                             (long long)entry->scenario_id, entry->journey_spec.p ? "a" : "no");
        }
    }
    return 0;
}

static int add_entry(struct local *local, const struct work_entry_orders *orders, struct mite_error *error)
{
    struct local_entry *entry = &local->entries[local->scenario.count];
    struct volume_model *model = directed_model_new();
    int rc = model ? 0 : MITE_ENOMEM;

    entry->recycles = orders->recycles;
    if (rc == 0 && orders->has_pool) {
        rc = leased_pool_new(orders->recycles, &entry->pool);
    }
    if (rc < 0) {
        volume_model_free(model);
        return error_set(error, rc, "no memory for an entry of the scenario");
    }
    struct datapool *pool = entry->pool ? leased_pool_base(entry->pool) : NULL;
    rc = scenario_add(&local->scenario, orders->journey_spec.p, pool, model, error);
    if (rc < 0) {
        datapool_unref(pool);
        volume_model_free(model);
    }
    return rc;
}

static void on_finished(void *arg)
{
    struct local *local = arg;

    local->options.finished(local->options.arg);
}

static int make_controller(struct local *local, struct loop *loop, const struct work_orders *orders,
                           struct mite_error *error)
{
    struct controller_options options = {.failure_backoff = orders->failure_backoff};
    struct controller_hooks hooks = {.finished = on_finished, .arg = local};
    int rc = controller_new(loop, &local->scenario, &options, NULL, &hooks, &local->controller, error);

    if (rc < 0) {
        return rc;
    }
    controller_set_spawn_rate(local->controller, orders->spawn_rate);
    int64_t id = controller_add_runner(local->controller, local->options.runner_ops, local->options.runner,
                                       local->options.max_journeys, error);
    return id < 0 ? (int)id : 0;
}

int local_new(struct loop *loop, const struct work_orders *orders, const struct local_options *options,
              struct local **out, struct mite_error *error)
{
    struct local *local = calloc(1, sizeof *local);
    int rc = check_entries(orders, error);

    if (local) {
        local->options = *options;
        local->entries = calloc(orders->entry_count + 1, sizeof *local->entries);
    }
    if (rc == 0 && (!local || !local->entries || scenario_init(&local->scenario, "orders") < 0)) {
        rc = error_set(error, MITE_ENOMEM, "no memory for the scenario");
    }
    for (size_t i = 0; rc == 0 && i < orders->entry_count; i++) {
        rc = add_entry(local, &orders->entries[i], error);
    }
    if (rc == 0) {
        rc = make_controller(local, loop, orders, error);
    }
    if (rc < 0) {
        local_free(local);
        return rc;
    }
    *out = local;
    return 0;
}

void local_free(struct local *local)
{
    if (local) {
        controller_free(local->controller);
        scenario_done(&local->scenario);
        free(local->entries);
        free(local);
    }
}

bool local_matches(const struct local *local, const struct work_orders *orders)
{
    if (orders->entry_count != local->scenario.count) {
        return false;
    }
    for (size_t i = 0; i < orders->entry_count; i++) {
        const struct work_entry_orders *entry = &orders->entries[i];
        const struct local_entry *mine = &local->entries[i];
        if (index_of(entry->scenario_id) != i || entry->has_pool != (mine->pool != NULL) ||
            entry->recycles != mine->recycles ||
            (entry->journey_spec.p && !str_is(entry->journey_spec, local->scenario.entries[i].journey_spec))) {
            return false;
        }
    }
    return true;
}

/* ---- orders ---- */

/* Items of one entry come in a row, most often; each such row at once. */
static int take_items(struct local *local, const struct work_orders *orders, struct mite_error *error)
{
    for (size_t i = 0, end; i < orders->item_count; i = end) {
        size_t index = index_of(orders->items[i].scenario_id);
        for (end = i + 1; end < orders->item_count && index_of(orders->items[end].scenario_id) == index; end++) {
        }
        if (index >= local->scenario.count || !local->entries[index].pool) {
            return error_set(error, MITE_EPROTO, "the controller gives items to entry %zu, which has no datapool",
                             index + 1);
        }
        if (leased_pool_add(local->entries[index].pool, &orders->items[i], end - i) < 0) {
            return error_set(error, MITE_ENOMEM, "no memory for %zu items", end - i);
        }
    }
    return 0;
}

static void obey_entry(struct local *local, const struct work_entry_orders *orders)
{
    size_t index = index_of(orders->scenario_id);
    struct local_entry *entry = &local->entries[index];
    int64_t left = orders->starts_left, reported = entry->reported_started;

    directed_model_want(local->scenario.entries[index].model, orders->target);
    controller_allow_starts(local->controller, index,
                            left < 0 || left > INT64_MAX - reported ? INT64_MAX : reported + left);
    if (entry->pool) {
        leased_pool_hold(entry->pool, local->stopped ? 0 : orders->hold);
    }
}

int local_take(struct local *local, const struct work_orders *orders, struct mite_error *error)
{
    if (orders->void_up_to > 0) {
        local_void(local, orders->void_up_to);
    }
    return take_items(local, orders, error);
}

int local_obey(struct local *local, const struct work_orders *orders, struct mite_error *error)
{
    if (!local_matches(local, orders)) {
        return error_set(error, MITE_EPROTO, "the controller's entries are not those that it introduced");
    }
    int rc = local_take(local, orders, error);
    for (size_t i = 0; i < orders->entry_count; i++) {
        obey_entry(local, &orders->entries[i]);
    }
    controller_set_spawn_rate(local->controller, orders->spawn_rate);
    controller_refresh(local->controller);
    return rc;
}

void local_pause(struct local *local)
{
    for (size_t i = 0; i < local->scenario.count; i++) {
        directed_model_want(local->scenario.entries[i].model, 0);
    }
    controller_refresh(local->controller);
}

void local_stop(struct local *local)
{
    local->stopped = true;
    for (size_t i = 0; i < local->scenario.count; i++) {
        if (local->entries[i].pool) {
            leased_pool_hold(local->entries[i].pool, 0);
        }
    }
    controller_stop(local->controller);
}

/* ---- reports ---- */

static struct work_entry_report describe(const struct local *local, size_t index)
{
    const struct local_entry *entry = &local->entries[index];
    struct controller_entry_counts counts;
    struct leased_counts items = {.highest_id = -1};

    controller_count_entry(local->controller, index, &counts);
    if (entry->pool) {
        leased_pool_count(entry->pool, &items);
    }
    int64_t wants = entry->pool ? counts.wanted - counts.running - (int64_t)items.unused : 0;
    return (struct work_entry_report){
        .scenario_id = (int64_t)index + 1,
        .running = counts.running,
        .started = counts.started,
        .completed = counts.completed,
        .wants = wants > 0 ? wants : 0,
        .highest_id = items.highest_id,
    };
}

int local_tell(struct local *local, struct arena *arena, struct work_report *report)
{
    size_t count = local->scenario.count;
    struct work_entry_report *entries = arena_alloc(arena, count * sizeof *entries);
    int rc = entries ? 0 : MITE_ENOMEM;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        entries[i] = describe(local, i);
        if (local->entries[i].pool) {
            rc = leased_pool_tell(local->entries[i].pool, arena, WORK_ITEMS_MAX, report);
        }
    }
    if (rc < 0) {
        local_told(local, false);
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        local->entries[i].reported_started = entries[i].started;
    }
    report->entries = entries;
    report->entry_count = count;
    return 0;
}

void local_told(struct local *local, bool answered)
{
    for (size_t i = 0; i < local->scenario.count; i++) {
        if (local->entries[i].pool) {
            leased_pool_told(local->entries[i].pool, answered);
        }
    }
}

/* ---- items ---- */

void local_void(struct local *local, uint64_t up_to)
{
    for (size_t i = 0; i < local->scenario.count; i++) {
        if (local->entries[i].pool) {
            leased_pool_void(local->entries[i].pool, up_to);
        }
    }
}

bool local_holds(const struct local *local, int64_t scenario_id)
{
    return local->entries[index_of(scenario_id)].pool != NULL;
}

bool local_is_void(const struct local *local, int64_t scenario_id, const struct value *data_id)
{
    const struct leased_pool *pool = local->entries[index_of(scenario_id)].pool;

    return pool && leased_pool_is_void(pool, data_id);
}

/* ---- the runner ---- */

void local_completed(struct local *local, int64_t scenario_id, const struct value *data_id, bool failed_at_once)
{
    size_t index = index_of(scenario_id);
    struct leased_pool *pool = local->entries[index].pool;
    struct controller_entry_counts journeys;
    struct leased_counts items;

    controller_work_ops.completed(local->controller, RUNNER_ID, scenario_id, data_id, failed_at_once);
    if (pool) {
        controller_count_entry(local->controller, index, &journeys);
        leased_pool_count(pool, &items);
        bool starves = items.returned > 0 && items.unused == 0 && journeys.running < journeys.wanted;
        if (starves || items.low) {
            local->options.urgent(local->options.arg, starves);
        }
    }
}

void local_idle(struct local *local)
{
    controller_work_ops.idle(local->controller, RUNNER_ID);
}
