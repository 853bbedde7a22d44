/* Answers: what the controller says to runners. */
#include "value/msgpack.h"
#include "work/fields.h"

#define NUDGE        0
#define LEAST_TIME_S 0.001

/* ---- welcome ---- */

static const struct work_offer *read_offer(struct fields *fields, const struct value *value)
{
    struct value map = field_map(fields, value, "the offer", WORK_ENTRIES_MAX);
    int64_t dialect = field_int(fields, value_get(&map, "dialect"), "the dialect", 0);
    struct work_offer *offer = dialect == WORK_DIALECT ? fields_alloc(fields, 1, sizeof *offer) : NULL;

    if (offer) {
        *offer = (struct work_offer){
            .epoch = field_uint(fields, value_get(&map, "epoch"), "the epoch"),
            .timeout_s = field_number(fields, value_get(&map, "timeout"), "the timeout", LEAST_TIME_S),
            .interval_s = field_number(fields, value_get(&map, "interval"), "the interval", LEAST_TIME_S),
        };
        if (offer->timeout_s == 0 || offer->interval_s == 0) {
            fields_fail(fields, MITE_EPROTO, "the offer must have a timeout and an interval");
        }
    }
    return offer;
}

static void write_offer(struct buf *out, const struct work_offer *offer)
{
    msgpack_write_map(out, 4);
    write_key(out, "dialect");
    msgpack_write_int(out, WORK_DIALECT);
    write_key(out, "epoch");
    write_uint(out, offer->epoch);
    write_key(out, "timeout");
    msgpack_write_float(out, offer->timeout_s);
    write_key(out, "interval");
    msgpack_write_float(out, offer->interval_s);
}

int work_read_welcome(struct arena *arena, struct str bytes, struct work_welcome *out, struct mite_error *error)
{
    struct fields fields = {.arena = arena, .error = error};
    struct value message = fields_of(&fields, bytes);
    const struct value *items = field_tuple(&fields, &message, "the answer to a hello", 3);
    struct work_welcome welcome = {
        .runner_id = field_int(&fields, &items[0], "the runner's id", 0),
        .test = field_text(&fields, &items[1], "the name of the test"),
    };

    welcome.config = field_config(&fields, &items[2], &welcome.config_count);
    if (fields.rc == 0 && message.count > 3) {
        welcome.offer = read_offer(&fields, &items[3]);
    }
    if (fields.rc == 0) {
        *out = welcome;
    }
    return fields.rc;
}

void work_write_welcome(struct buf *out, const struct work_welcome *welcome)
{
    msgpack_write_list(out, welcome->offer ? 4 : 3);
    msgpack_write_int(out, welcome->runner_id);
    write_text_or_nil(out, welcome->test);
    write_config(out, welcome->config, welcome->config_count);
    if (welcome->offer) {
        write_offer(out, welcome->offer);
    }
}

/* ---- work in the plain dialect ---- */

int work_read_assignment(struct arena *arena, struct str bytes, struct work_assignment *out, struct mite_error *error)
{
    struct fields fields = {.arena = arena, .error = error};
    struct value message = fields_of(&fields, bytes);
    const struct value *parts = field_tuple(&fields, &message, "the answer to a request for work", 3);
    struct value list = field_list(&fields, &parts[0], "the work", WORK_ITEMS_MAX);
    struct work_lease *items = fields_alloc(&fields, list.count, sizeof *items);
    struct work_assignment assignment = {
        .items = items,
        .item_count = list.count,
        .stop = field_bool(&fields, &parts[2], "whether to stop"),
    };

    assignment.config = field_config(&fields, &parts[1], &assignment.config_count);
    for (uint32_t i = 0; items && i < list.count; i++) {
        const struct value *item = field_tuple(&fields, &list.items[i], "an item of work", 4);
        items[i] = (struct work_lease){
            .scenario_id = field_int(&fields, &item[0], "a scenario id", 1),
            .data_id = item[1],
            .journey_spec = field_text(&fields, &item[2], "the journey"),
            .args = field_args(&fields, &item[3], "a journey's arguments"),
        };
        if (!items[i].journey_spec.p) {
            fields_fail(&fields, MITE_EPROTO, "an item of work names no journey");
        }
    }
    if (fields.rc == 0) {
        *out = assignment;
    }
    return fields.rc;
}

void work_write_assignment(struct buf *out, const struct work_assignment *assignment)
{
    msgpack_write_list(out, 3);
    msgpack_write_list(out, (uint32_t)assignment->item_count);
    for (size_t i = 0; i < assignment->item_count; i++) {
        const struct work_lease *item = &assignment->items[i];
        msgpack_write_list(out, 4);
        msgpack_write_int(out, item->scenario_id);
        msgpack_write(out, &item->data_id);
        msgpack_write_text(out, item->journey_spec);
        msgpack_write(out, &item->args);
    }
    write_config(out, assignment->config, assignment->config_count);
    msgpack_write_bool(out, assignment->stop);
}

/* ---- orders ---- */

enum pool_word { POOL_NONE, POOL_USED_UP, POOL_RECYCLES };

static void read_entries(struct fields *fields, const struct value *value, struct work_orders *out)
{
    struct value list = field_list(fields, value, "the entries of orders", WORK_ENTRIES_MAX);
    struct work_entry_orders *entries = fields_alloc(fields, list.count, sizeof *entries);

    for (uint32_t i = 0; entries && i < list.count; i++) {
        const struct value *entry = field_tuple(fields, &list.items[i], "an entry of orders", 6);
        int64_t pool = field_int(fields, &entry[4], "the kind of a datapool", POOL_NONE);
        entries[i] = (struct work_entry_orders){
            .scenario_id = field_int(fields, &entry[0], "a scenario id", 1),
            .target = field_int(fields, &entry[1], "a target", 0),
            .starts_left = field_int(fields, &entry[2], "the number of starts left", -1),
            .hold = field_int(fields, &entry[3], "the number of items to hold", 0),
            .has_pool = pool != POOL_NONE,
            .recycles = pool == POOL_RECYCLES,
            .journey_spec = field_text(fields, &entry[5], "the journey"),
        };
    }
    out->entries = entries;
    out->entry_count = list.count;
}

static void write_entries(struct buf *out, const struct work_orders *orders)
{
    msgpack_write_list(out, (uint32_t)orders->entry_count);
    for (size_t i = 0; i < orders->entry_count; i++) {
        const struct work_entry_orders *entry = &orders->entries[i];
        msgpack_write_list(out, 6);
        msgpack_write_int(out, entry->scenario_id);
        msgpack_write_int(out, entry->target);
        msgpack_write_int(out, entry->starts_left);
        msgpack_write_int(out, entry->hold);
        msgpack_write_int(out, !entry->has_pool ? POOL_NONE : entry->recycles ? POOL_RECYCLES : POOL_USED_UP);
        write_text_or_nil(out, entry->journey_spec);
    }
}

static void read_items(struct fields *fields, const struct value *value, struct work_orders *out)
{
    struct value list = field_list(fields, value, "the items of orders", WORK_ITEMS_MAX);
    struct work_lease *items = fields_alloc(fields, list.count, sizeof *items);

    for (uint32_t i = 0; items && i < list.count; i++) {
        const struct value *item = field_tuple(fields, &list.items[i], "an item of orders", 4);
        items[i] = (struct work_lease){
            .scenario_id = field_int(fields, &item[0], "a scenario id", 1),
            .lease = field_uint(fields, &item[1], "a lease"),
            .data_id = item[2],
            .args = field_args(fields, &item[3], "a journey's arguments"),
        };
    }
    out->items = items;
    out->item_count = list.count;
}

static void write_items(struct buf *out, const struct work_orders *orders)
{
    msgpack_write_list(out, (uint32_t)orders->item_count);
    for (size_t i = 0; i < orders->item_count; i++) {
        const struct work_lease *item = &orders->items[i];
        msgpack_write_list(out, 4);
        msgpack_write_int(out, item->scenario_id);
        write_uint(out, item->lease);
        msgpack_write(out, &item->data_id);
        msgpack_write(out, &item->args);
    }
}

static void read_map(struct fields *fields, const struct value *value, struct work_orders *out)
{
    struct value map = field_map(fields, value, "orders", WORK_ENTRIES_MAX);

    read_entries(fields, value_get(&map, "entries"), out);
    read_items(fields, value_get(&map, "items"), out);
    out->void_up_to = field_uint(fields, value_get(&map, "void_up_to"), "the last void lease");
    out->spawn_rate = field_number(fields, value_get(&map, "spawn_rate"), "the spawn rate", 0);
    out->failure_backoff = field_bool(fields, value_get(&map, "failure_backoff"), "whether to back off");
    out->config = field_config(fields, value_get(&map, "config"), &out->config_count);
    out->stop = field_bool(fields, value_get(&map, "stop"), "whether to stop");
    out->cancel = field_bool(fields, value_get(&map, "cancel"), "whether to cancel");
}

int work_read_orders(struct arena *arena, struct str bytes, struct work_orders *out, struct mite_error *error)
{
    struct fields fields = {.arena = arena, .error = error};
    struct value message = fields_of(&fields, bytes);
    const struct value *items = field_tuple(&fields, &message, "the answer to a report", 1);
    struct work_orders orders = {.seq = field_uint(&fields, &items[0], "a sequence number")};

    if (fields.rc == 0 && message.count == 1 && orders.seq == NUDGE) {
        return MITE_EAGAIN;
    }
    items = field_tuple(&fields, &message, "the answer to a report", 2);
    orders.known = items[1].type != VALUE_NIL;
    if (fields.rc == 0 && orders.known) {
        read_map(&fields, &items[1], &orders);
    }
    if (fields.rc == 0) {
        *out = orders;
    }
    return fields.rc;
}

void work_write_orders(struct buf *out, const struct work_orders *orders)
{
    msgpack_write_list(out, 2);
    write_uint(out, orders->seq);
    if (!orders->known) {
        msgpack_write_nil(out);
        return;
    }
    msgpack_write_map(out, 8);
    write_key(out, "entries");
    write_entries(out, orders);
    write_key(out, "items");
    write_items(out, orders);
    write_key(out, "void_up_to");
    write_uint(out, orders->void_up_to);
    write_key(out, "spawn_rate");
    msgpack_write_float(out, orders->spawn_rate);
    write_key(out, "failure_backoff");
    msgpack_write_bool(out, orders->failure_backoff);
    write_key(out, "config");
    write_config(out, orders->config, orders->config_count);
    write_key(out, "stop");
    msgpack_write_bool(out, orders->stop);
    write_key(out, "cancel");
    msgpack_write_bool(out, orders->cancel);
}

void work_write_nudge(struct buf *out)
{
    msgpack_write_list(out, 1);
    msgpack_write_int(out, NUDGE);
}
