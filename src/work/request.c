/* Requests: what runners and mite ctl say to the controller. */
#include "value/msgpack.h"
#include "work/fields.h"

/* ---- the plain dialect ---- */

static void read_running(struct fields *fields, const struct value *value, struct work_request *out)
{
    struct value map = field_map(fields, value, "what runs", WORK_ENTRIES_MAX);
    struct work_running *running = fields_alloc(fields, map.count, sizeof *running);

    for (uint32_t i = 0; running && i < map.count; i++) {
        running[i] = (struct work_running){
            .scenario_id = field_int(fields, &map.pairs[i].key, "a scenario id", 1),
            .running = field_int(fields, &map.pairs[i].value, "the number of running journeys", 0),
        };
    }
    out->running = running;
    out->running_count = map.count;
}

static void read_completed(struct fields *fields, const struct value *value, struct work_request *out)
{
    struct value list = field_list(fields, value, "what is completed", WORK_ITEMS_MAX);
    struct work_lease *completed = fields_alloc(fields, list.count, sizeof *completed);

    for (uint32_t i = 0; completed && i < list.count; i++) {
        const struct value *item = field_tuple(fields, &list.items[i], "a completed item", 2);
        completed[i] = (struct work_lease){
            .scenario_id = field_int(fields, &item[0], "a scenario id", 1), .data_id = item[1], .args = value_nil()};
    }
    out->completed = completed;
    out->completed_count = list.count;
}

static void read_ask(struct fields *fields, const struct value *value, struct work_request *out)
{
    const struct value *ask = field_tuple(fields, value, "a request for work", 4);

    out->runner_id = field_int(fields, &ask[0], "the runner's id", 0);
    read_running(fields, &ask[1], out);
    read_completed(fields, &ask[2], out);
    out->max_work = -1;
    if (ask[3].type != VALUE_NIL) {
        int64_t max_work = field_int(fields, &ask[3], "the most work that is taken", INT64_MIN);
        out->max_work = max_work > 0 ? max_work : 0;
    }
}

static void write_ask(struct buf *out, const struct work_request *request)
{
    msgpack_write_list(out, 4);
    msgpack_write_int(out, request->runner_id);
    msgpack_write_map(out, (uint32_t)request->running_count);
    for (size_t i = 0; i < request->running_count; i++) {
        msgpack_write_int(out, request->running[i].scenario_id);
        msgpack_write_int(out, request->running[i].running);
    }
    msgpack_write_list(out, (uint32_t)request->completed_count);
    for (size_t i = 0; i < request->completed_count; i++) {
        msgpack_write_list(out, 2);
        msgpack_write_int(out, request->completed[i].scenario_id);
        msgpack_write(out, &request->completed[i].data_id);
    }
    if (request->max_work < 0) {
        msgpack_write_nil(out);
    } else {
        msgpack_write_int(out, request->max_work);
    }
}

/* ---- reports ---- */

static const struct work_introduction *read_introduction(struct fields *fields, const struct value *value)
{
    struct work_introduction *introduction = value ? fields_alloc(fields, 1, sizeof *introduction) : NULL;

    if (!introduction) {
        return NULL;
    }
    struct value map = field_map(fields, value, "an introduction", WORK_ENTRIES_MAX);
    *introduction = (struct work_introduction){
        .host = field_text(fields, value_get(&map, "host"), "the runner's host"),
        .version = field_text(fields, value_get(&map, "version"), "the runner's version"),
        .pid = field_int(fields, value_get(&map, "pid"), "the runner's process", 0),
        .max_journeys = field_int(fields, value_get(&map, "max_journeys"), "the runner's most journeys", 0),
    };
    return introduction;
}

static void write_introduction(struct buf *out, const struct work_introduction *introduction)
{
    msgpack_write_map(out, 4);
    write_key(out, "host");
    write_text_or_nil(out, introduction->host);
    write_key(out, "version");
    write_text_or_nil(out, introduction->version);
    write_key(out, "pid");
    msgpack_write_int(out, introduction->pid);
    write_key(out, "max_journeys");
    msgpack_write_int(out, introduction->max_journeys);
}

static void read_entries(struct fields *fields, const struct value *value, struct work_report *out)
{
    struct value list = field_list(fields, value, "the entries of a report", WORK_ENTRIES_MAX);
    struct work_entry_report *entries = fields_alloc(fields, list.count, sizeof *entries);

    for (uint32_t i = 0; entries && i < list.count; i++) {
        const struct value *entry = field_tuple(fields, &list.items[i], "an entry of a report", 6);
        entries[i] = (struct work_entry_report){
            .scenario_id = field_int(fields, &entry[0], "a scenario id", 1),
            .running = field_int(fields, &entry[1], "the number of running journeys", 0),
            .started = field_int(fields, &entry[2], "the number of started journeys", 0),
            .completed = field_int(fields, &entry[3], "the number of completed journeys", 0),
            .wants = field_int(fields, &entry[4], "the number of wanted items", 0),
            .highest_id = field_int(fields, &entry[5], "the highest id", -1),
        };
    }
    out->entries = entries;
    out->entry_count = list.count;
}

static void write_entries(struct buf *out, const struct work_report *report)
{
    msgpack_write_list(out, (uint32_t)report->entry_count);
    for (size_t i = 0; i < report->entry_count; i++) {
        const struct work_entry_report *entry = &report->entries[i];
        msgpack_write_list(out, 6);
        msgpack_write_int(out, entry->scenario_id);
        msgpack_write_int(out, entry->running);
        msgpack_write_int(out, entry->started);
        msgpack_write_int(out, entry->completed);
        msgpack_write_int(out, entry->wants);
        msgpack_write_int(out, entry->highest_id);
    }
}

static const uint64_t *read_leases(struct fields *fields, const struct value *value, size_t *count)
{
    struct value list = field_list(fields, value, "the leases that go back", WORK_ITEMS_MAX);
    uint64_t *leases = fields_alloc(fields, list.count, sizeof *leases);

    for (uint32_t i = 0; leases && i < list.count; i++) {
        leases[i] = field_uint(fields, &list.items[i], "a lease");
    }
    *count = list.count;
    return leases;
}

static void write_leases(struct buf *out, const uint64_t *leases, size_t count)
{
    msgpack_write_list(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        write_uint(out, leases[i]);
    }
}

static void read_dropped(struct fields *fields, const struct value *value, struct work_report *out)
{
    struct value map = field_map(fields, value, "what was dropped", WORK_ENTRIES_MAX);
    struct work_dropped *dropped = fields_alloc(fields, map.count, sizeof *dropped);

    for (uint32_t i = 0; dropped && i < map.count; i++) {
        dropped[i] = (struct work_dropped){
            .type = field_text(fields, &map.pairs[i].key, "the type of a dropped event"),
            .count = field_uint(fields, &map.pairs[i].value, "the number of dropped events"),
        };
    }
    out->dropped = dropped;
    out->dropped_count = map.count;
}

static void write_dropped(struct buf *out, const struct work_report *report)
{
    msgpack_write_map(out, (uint32_t)report->dropped_count);
    for (size_t i = 0; i < report->dropped_count; i++) {
        write_text_or_nil(out, report->dropped[i].type);
        write_uint(out, report->dropped[i].count);
    }
}

static void read_report(struct fields *fields, const struct value *items, struct work_report *out)
{
    struct value map = field_map(fields, &items[4], "a report", WORK_ENTRIES_MAX);
    const struct value *stats = value_get(&map, "stats");

    out->seq = field_uint(fields, &items[1], "a sequence number");
    out->runner_id = field_int(fields, &items[2], "the runner's id", 0);
    out->epoch = field_uint(fields, &items[3], "the epoch");
    out->introduction = read_introduction(fields, value_get(&map, "introduction"));
    read_entries(fields, value_get(&map, "entries"), out);
    out->done = read_leases(fields, value_get(&map, "done"), &out->done_count);
    out->unused = read_leases(fields, value_get(&map, "unused"), &out->unused_count);
    out->stats = stats ? field_map(fields, stats, "statistics", WORK_ENTRIES_MAX) : value_nil();
    out->stats_from_start = field_bool(fields, value_get(&map, "from_start"), "whether statistics are whole");
    read_dropped(fields, value_get(&map, "dropped"), out);
    out->aborted = field_uint(fields, value_get(&map, "aborted"), "the number of aborted requests");
    out->queued = field_uint(fields, value_get(&map, "queued"), "the number of queued events");
    out->cpu = field_number(fields, value_get(&map, "cpu"), "the CPU share", 0);
    out->leaving = field_bool(fields, value_get(&map, "leaving"), "whether the runner is leaving");
    out->idle = field_bool(fields, value_get(&map, "idle"), "whether the runner is idle");
    out->trouble = field_text(fields, value_get(&map, "trouble"), "the trouble");
    if (fields->rc == 0 && out->seq == 0) {
        fields_fail(fields, MITE_EPROTO, "a report has sequence number 0: they begin with 1");
    }
}

/* What is nothing is left out. */
static void write_report_fields(struct buf *out, const struct work_report *report)
{
    write_key(out, "entries");
    write_entries(out, report);
    if (report->introduction) {
        write_key(out, "introduction");
        write_introduction(out, report->introduction);
    }
    if (report->done_count > 0) {
        write_key(out, "done");
        write_leases(out, report->done, report->done_count);
    }
    if (report->unused_count > 0) {
        write_key(out, "unused");
        write_leases(out, report->unused, report->unused_count);
    }
    if (report->stats.type != VALUE_NIL) {
        write_key(out, "stats");
        msgpack_write(out, &report->stats);
    }
    if (report->dropped_count > 0) {
        write_key(out, "dropped");
        write_dropped(out, report);
    }
    if (report->leaving) {
        write_key(out, "leaving");
        msgpack_write_bool(out, true);
    }
    if (report->trouble.p) {
        write_key(out, "trouble");
        msgpack_write_text(out, report->trouble);
    }
}

static void write_report(struct buf *out, const struct work_report *report)
{
    uint32_t count = 6 + (report->introduction != NULL) + (report->done_count > 0) + (report->unused_count > 0) +
                     (report->stats.type != VALUE_NIL) + (report->dropped_count > 0) + report->leaving +
                     (report->trouble.p != NULL);

    write_uint(out, report->seq);
    msgpack_write_int(out, report->runner_id);
    write_uint(out, report->epoch);
    msgpack_write_map(out, count);
    write_report_fields(out, report);
    write_key(out, "from_start");
    msgpack_write_bool(out, report->stats_from_start);
    write_key(out, "aborted");
    write_uint(out, report->aborted);
    write_key(out, "queued");
    write_uint(out, report->queued);
    write_key(out, "cpu");
    msgpack_write_float(out, report->cpu);
    write_key(out, "idle");
    msgpack_write_bool(out, report->idle);
}

/* ---- all of them ---- */

static void read_control(struct fields *fields, const struct value *items, size_t count, struct work_request *out)
{
    out->command = field_text(fields, &items[1], "a command");
    out->arguments = &items[2];
    out->argument_count = count - 2;
    if (!out->command.p) {
        fields_fail(fields, MITE_EPROTO, "a command must be text, not nil");
    }
    if (out->argument_count > WORK_ARGUMENTS_MAX) {
        fields_fail(fields, MITE_ELIMIT, "a command has %zu arguments: %d are allowed", out->argument_count,
                    WORK_ARGUMENTS_MAX);
    }
}

int work_read_request(struct arena *arena, struct str bytes, struct work_request *out, struct mite_error *error)
{
    struct fields fields = {.arena = arena, .error = error};
    struct value message = fields_of(&fields, bytes);
    const struct value *items = field_tuple(&fields, &message, "a request", 2);
    struct work_request request = {.kind = (enum work_request_kind)field_int(&fields, &items[0], "its kind", 0)};

    if (fields.rc < 0) {
        return fields.rc;
    }
    switch (items[0].integer) {
    case WORK_HELLO:
        break;
    case WORK_ASK:
        read_ask(&fields, &items[1], &request);
        break;
    case WORK_BYE:
        request.runner_id = field_int(&fields, &items[1], "the runner's id", 0);
        break;
    case WORK_REPORT:
        read_report(&fields, field_tuple(&fields, &message, "a report", 5), &request.report);
        break;
    case WORK_CONTROL:
        read_control(&fields, items, message.count, &request);
        break;
    default:
        fields_fail(&fields, MITE_EPROTO, "there is no request of kind %lld", (long long)items[0].integer);
    }
    if (fields.rc == 0) {
        *out = request;
    }
    return fields.rc;
}

static void write_control(struct buf *out, const struct work_request *request)
{
    msgpack_write_text(out, request->command);
    for (size_t i = 0; i < request->argument_count; i++) {
        msgpack_write(out, &request->arguments[i]);
    }
}

void work_write_request(struct buf *out, const struct work_request *request)
{
    size_t items = request->kind == WORK_REPORT ? 5 : request->kind == WORK_CONTROL ? 2 + request->argument_count : 2;

    msgpack_write_list(out, (uint32_t)items);
    msgpack_write_int(out, request->kind);
    switch (request->kind) {
    case WORK_HELLO:
        msgpack_write_nil(out);
        break;
    case WORK_ASK:
        write_ask(out, request);
        break;
    case WORK_BYE:
        msgpack_write_int(out, request->runner_id);
        break;
    case WORK_REPORT:
        write_report(out, &request->report);
        break;
    case WORK_CONTROL:
        write_control(out, request);
        break;
    }
}
