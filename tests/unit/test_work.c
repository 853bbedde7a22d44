/* The work protocol: the wire's golden files there and back, random messages, and what is refused. */
#include "wire.h"

#include "random_value.h"
#include "value_fixture.h"
#include "work/protocol.h"

#define TEXT(s) value_text(STR(s))

static void assert_str(struct str s, const char *text)
{
    assert_int_equal(s.n, strlen(text));
    assert_memory_equal(s.p, text, s.n);
}

static void assert_values_equal(struct value a, struct value b)
{
    assert_true(value_equal(&a, &b));
}

/* ---- the wire ---- */

static void golden(struct fixture *f, struct buf *bytes, const char *file)
{
    buf_init(bytes, 0);
    wire_bytes(bytes, file);
    buf_clear(&f->out);
}

static void assert_written(struct fixture *f, struct buf *bytes)
{
    assert_false(f->out.failed);
    assert_int_equal(f->out.size, bytes->size);
    assert_memory_equal(f->out.data, bytes->data, bytes->size);
    buf_done(bytes);
}

static struct work_request request_file(struct fixture *f, const char *file)
{
    struct work_request request;
    struct buf bytes;

    golden(f, &bytes, file);
    assert_int_equal(work_read_request(&f->arena, buf_view(&bytes), &request, &f->error), 0);
    work_write_request(&f->out, &request);
    assert_written(f, &bytes);
    return request;
}

static void golden_requests_come_back_byte_for_byte(void **state)
{
    struct fixture *f = *state;
    struct work_request request = request_file(f, "hello.request");

    assert_int_equal(request.kind, WORK_HELLO);
    request = request_file(f, "request_work.request");
    assert_int_equal(request.kind, WORK_ASK);
    assert_int_equal(request.runner_id, 1);
    assert_int_equal(request.max_work, -1);
    request = request_file(f, "request_work_busy.request");
    assert_int_equal(request.running_count, 1);
    request = request_file(f, "request_work_completed.request");
    assert_int_equal(request.running_count, 2);
    assert_int_equal(request.running[1].scenario_id, 3);
    assert_int_equal(request.running[1].running, 2);
    assert_int_equal(request.completed_count, 2);
    assert_int_equal(request.completed[1].scenario_id, 2);
    assert_values_equal(request.completed[1].data_id, value_int(2));
    request = request_file(f, "bye.request");
    assert_int_equal(request.kind, WORK_BYE);
    assert_int_equal(request.runner_id, 1);
}

static void golden_welcome_comes_back_byte_for_byte(void **state)
{
    struct fixture *f = *state;
    struct work_welcome welcome;
    struct buf bytes;

    golden(f, &bytes, "hello.reply");
    assert_int_equal(work_read_welcome(&f->arena, buf_view(&bytes), &welcome, &f->error), 0);
    work_write_welcome(&f->out, &welcome);
    assert_written(f, &bytes);
    assert_int_equal(welcome.runner_id, 1);
    assert_str(welcome.test, "wirejourneys:scenario");
    assert_int_equal(welcome.config_count, 2);
    assert_values_equal(welcome.config[1].key, TEXT("added"));
    assert_values_equal(welcome.config[1].value, value_int(3));
    assert_null(welcome.offer);
}

static void golden_assignments_come_back_byte_for_byte(void **state)
{
    static const char *const files[] = {"request_work_no_work.reply", "request_work_with_work.reply",
                                        "request_work_stop.reply"};
    struct fixture *f = *state;

    for (size_t i = 0; i < 3; i++) {
        struct work_assignment assignment;
        struct buf bytes;

        golden(f, &bytes, files[i]);
        assert_int_equal(work_read_assignment(&f->arena, buf_view(&bytes), &assignment, &f->error), 0);
        work_write_assignment(&f->out, &assignment);
        assert_written(f, &bytes);
        assert_int_equal(assignment.stop, i == 2);
        assert_int_equal(assignment.item_count, i == 1 ? 6 : 0);
        if (i == 1) {
            assert_str(assignment.items[1].journey_spec, "wirejourneys:shop");
            assert_int_equal(assignment.items[1].args.count, 2);
            assert_int_equal(assignment.items[2].args.type, VALUE_NIL);
        }
    }
}

/* ---- random messages ---- */

static uint64_t random_up_to(struct fixture *f, uint64_t most)
{
    return random_next(&f->seed) % (most + 1);
}

static int64_t random_count(struct fixture *f)
{
    return random_int(&f->seed) & INT64_MAX;
}

static uint64_t random_lease(struct fixture *f)
{
    return random_next(&f->seed) >> random_up_to(f, 63);
}

static uint64_t *random_leases(struct fixture *f, size_t *count)
{
    *count = random_up_to(f, 40);
    uint64_t *leases = arena_alloc(&f->arena, *count * sizeof *leases);

    for (size_t i = 0; i < *count; i++) {
        leases[i] = random_lease(f);
    }
    return leases;
}

static struct value random_args(struct fixture *f)
{
    struct value *items = arena_alloc(&f->arena, 2 * sizeof *items);

    items[0] = random_value(&f->arena, &f->seed, 3);
    items[1] = random_value(&f->arena, &f->seed, 1);
    return random_up_to(f, 3) ? value_list(items, 2) : value_nil();
}

static struct pair *random_config(struct fixture *f, size_t *count)
{
    *count = random_up_to(f, 5);
    struct pair *pairs = arena_alloc(&f->arena, *count * sizeof *pairs);

    for (size_t i = 0; i < *count; i++) {
        pairs[i].key = value_text(random_text(&f->arena, &f->seed));
        pairs[i].value = random_value(&f->arena, &f->seed, 4);
    }
    return pairs;
}

static struct work_entry_report *random_entries(struct fixture *f, size_t count)
{
    struct work_entry_report *entries = arena_alloc(&f->arena, count * sizeof *entries);

    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct work_entry_report){(int64_t)i + 1,  random_count(f), random_count(f),
                                                random_count(f), random_count(f), random_count(f) - 1};
    }
    return entries;
}

static struct work_report random_report(struct fixture *f)
{
    static const struct work_dropped dropped[] = {{STR("txn"), 7}, {STR("other"), UINT64_MAX}};
    const struct pair stats[] = {{TEXT("requests"), value_int(random_count(f))}};
    struct work_introduction *introduction = arena_alloc(&f->arena, sizeof *introduction);
    struct work_report report = {
        .seq = 1 + random_lease(f) / 2,
        .runner_id = random_count(f),
        .epoch = random_lease(f),
        .introduction = random_up_to(f, 1) ? introduction : NULL,
        .entry_count = random_up_to(f, 4),
        .stats_from_start = random_up_to(f, 1),
        .dropped = dropped,
        .dropped_count = random_up_to(f, 2),
        .aborted = random_lease(f),
        .queued = random_lease(f),
        .cpu = 0.25 * (double)random_up_to(f, 4),
        .leaving = random_up_to(f, 1),
        .idle = random_up_to(f, 1),
        .trouble = random_up_to(f, 1) ? random_text(&f->arena, &f->seed) : STR_NONE,
    };
    struct value map = value_map(stats, 1);

    assert_int_equal(value_copy(&f->arena, &map, &report.stats), 0);
    *introduction = (struct work_introduction){STR("host"), STR("3.0.0"), random_count(f), random_count(f)};
    report.entries = random_entries(f, report.entry_count);
    report.done = random_leases(f, &report.done_count);
    report.unused = random_leases(f, &report.unused_count);
    return report;
}

static void assert_same_report(const struct work_report *a, const struct work_report *b)
{
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->runner_id, b->runner_id);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->introduction != NULL, b->introduction != NULL);
    if (a->introduction) {
        assert_int_equal(a->introduction->pid, b->introduction->pid);
        assert_int_equal(a->introduction->max_journeys, b->introduction->max_journeys);
        assert_true(str_equal(a->introduction->host, b->introduction->host));
    }
    assert_int_equal(a->entry_count, b->entry_count);
    assert_memory_equal(a->entries, b->entries, a->entry_count * sizeof *a->entries);
    assert_int_equal(a->done_count, b->done_count);
    assert_memory_equal(a->done, b->done, a->done_count * sizeof *a->done);
    assert_int_equal(a->unused_count, b->unused_count);
    assert_memory_equal(a->unused, b->unused, a->unused_count * sizeof *a->unused);
    assert_values_equal(a->stats, b->stats);
    assert_int_equal(a->dropped_count, b->dropped_count);
    assert_int_equal(a->aborted, b->aborted);
    assert_int_equal(a->queued, b->queued);
    assert_true(a->cpu == b->cpu);
    assert_int_equal(a->stats_from_start, b->stats_from_start);
    assert_int_equal(a->leaving, b->leaving);
    assert_int_equal(a->idle, b->idle);
    assert_true(str_equal(a->trouble, b->trouble));
}

static void reports_come_back_as_they_went(void **state)
{
    struct fixture *f = *state;

    for (int round = 0; round < 300; round++) {
        struct work_request request = {.kind = WORK_REPORT, .report = random_report(f)}, back;

        buf_clear(&f->out);
        work_write_request(&f->out, &request);
        assert_int_equal(work_read_request(&f->arena, buf_view(&f->out), &back, &f->error), 0);
        assert_int_equal(back.kind, WORK_REPORT);
        assert_same_report(&request.report, &back.report);
        arena_reset(&f->arena);
    }
}

static struct work_lease *random_items(struct fixture *f, size_t count, bool plain)
{
    struct work_lease *items = arena_alloc(&f->arena, count * sizeof *items);

    for (size_t i = 0; i < count; i++) {
        items[i] = (struct work_lease){
            .scenario_id = 1 + (int64_t)random_up_to(f, 3),
            .lease = plain ? 0 : random_lease(f),
            .data_id = random_value(&f->arena, &f->seed, 2),
            .journey_spec = plain ? STR("shop:visit") : STR_NONE,
            .args = random_args(f),
        };
    }
    return items;
}

static void assert_same_items(const struct work_lease *a, const struct work_lease *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(a[i].scenario_id, b[i].scenario_id);
        assert_int_equal(a[i].lease, b[i].lease);
        assert_values_equal(a[i].data_id, b[i].data_id);
        assert_values_equal(a[i].args, b[i].args);
        assert_true(str_equal(a[i].journey_spec, b[i].journey_spec));
    }
}

static void assert_same_config(const struct pair *a, const struct pair *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_values_equal(a[i].key, b[i].key);
        assert_values_equal(a[i].value, b[i].value);
    }
}

static void orders_come_back_as_they_went(void **state)
{
    const struct work_entry_orders entries[] = {
        {.scenario_id = 1, .target = 100, .starts_left = -1, .journey_spec = STR("shop:browse")},
        {.scenario_id = 2, .target = 0, .starts_left = 3, .hold = 12, .has_pool = true},
        {.scenario_id = 7, .target = 5, .starts_left = 0, .hold = 1, .has_pool = true, .recycles = true},
    };
    struct fixture *f = *state;

    for (int round = 0; round < 300; round++) {
        struct work_orders orders = {.seq = random_lease(f),
                                     .known = true,
                                     .entries = entries,
                                     .entry_count = 3,
                                     .item_count = random_up_to(f, 20),
                                     .void_up_to = random_lease(f),
                                     .spawn_rate = 12.5,
                                     .failure_backoff = random_up_to(f, 1),
                                     .stop = random_up_to(f, 1),
                                     .cancel = random_up_to(f, 1)},
                           back;

        orders.items = random_items(f, orders.item_count, false);
        orders.config = random_config(f, &orders.config_count);
        buf_clear(&f->out);
        work_write_orders(&f->out, &orders);
        assert_int_equal(work_read_orders(&f->arena, buf_view(&f->out), &back, &f->error), 0);
        assert_int_equal(back.seq, orders.seq);
        assert_true(back.known);
        assert_int_equal(back.entry_count, 3);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(back.entries[i].target, entries[i].target);
            assert_int_equal(back.entries[i].starts_left, entries[i].starts_left);
            assert_int_equal(back.entries[i].hold, entries[i].hold);
            assert_int_equal(back.entries[i].has_pool, entries[i].has_pool);
            assert_int_equal(back.entries[i].recycles, entries[i].recycles);
            assert_int_equal(back.entries[i].journey_spec.p != NULL, i == 0);
        }
        assert_int_equal(back.item_count, orders.item_count);
        assert_same_items(back.items, orders.items, orders.item_count);
        assert_int_equal(back.config_count, orders.config_count);
        assert_same_config(back.config, orders.config, orders.config_count);
        assert_int_equal(back.void_up_to, orders.void_up_to);
        assert_true(back.spawn_rate == 12.5);
        assert_int_equal(back.failure_backoff, orders.failure_backoff);
        assert_int_equal(back.stop, orders.stop);
        assert_int_equal(back.cancel, orders.cancel);
        arena_reset(&f->arena);
    }
}

static void plain_messages_come_back_as_they_went(void **state)
{
    const struct work_running running[] = {{1, 5}, {9, 0}};
    struct fixture *f = *state;

    for (int round = 0; round < 300; round++) {
        size_t count = random_up_to(f, 9);
        struct work_request ask = {.kind = WORK_ASK,
                                   .runner_id = random_count(f),
                                   .running = running,
                                   .running_count = 2,
                                   .completed = random_items(f, count, true),
                                   .completed_count = count,
                                   .max_work = (int64_t)random_up_to(f, 5) - 1},
                            ask_back;
        struct work_assignment work = {.items = ask.completed, .item_count = count, .stop = random_up_to(f, 1)}, back;

        buf_clear(&f->out);
        work_write_request(&f->out, &ask);
        assert_int_equal(work_read_request(&f->arena, buf_view(&f->out), &ask_back, &f->error), 0);
        assert_int_equal(ask_back.runner_id, ask.runner_id);
        assert_int_equal(ask_back.max_work, ask.max_work);
        assert_memory_equal(ask_back.running, running, sizeof running);
        assert_int_equal(ask_back.completed_count, count);

        work.config = random_config(f, &work.config_count);
        buf_clear(&f->out);
        work_write_assignment(&f->out, &work);
        assert_int_equal(work_read_assignment(&f->arena, buf_view(&f->out), &back, &f->error), 0);
        assert_int_equal(back.item_count, count);
        assert_same_items(back.items, work.items, count);
        assert_same_config(back.config, work.config, work.config_count);
        assert_int_equal(back.stop, work.stop);
        arena_reset(&f->arena);
    }
}

static void small_messages_come_back_as_they_went(void **state)
{
    const struct value arguments[] = {value_int(2), value_float(1.5)};
    const struct work_offer offer = {.epoch = UINT64_MAX, .timeout_s = 10, .interval_s = 0.25};
    struct work_request control = {
        .kind = WORK_CONTROL, .command = STR("volume"), .arguments = arguments, .argument_count = 2};
    struct work_welcome welcome = {.runner_id = 4, .test = STR("shop:scenario"), .offer = &offer};
    struct fixture *f = *state;
    struct work_request request;
    struct work_welcome back;
    struct work_orders orders;

    work_write_request(&f->out, &control);
    assert_int_equal(work_read_request(&f->arena, buf_view(&f->out), &request, &f->error), 0);
    assert_int_equal(request.kind, WORK_CONTROL);
    assert_str(request.command, "volume");
    assert_int_equal(request.argument_count, 2);
    assert_values_equal(request.arguments[1], value_float(1.5));

    buf_clear(&f->out);
    work_write_welcome(&f->out, &welcome);
    assert_int_equal(work_read_welcome(&f->arena, buf_view(&f->out), &back, &f->error), 0);
    assert_int_equal(back.runner_id, 4);
    assert_int_equal(back.offer->epoch, UINT64_MAX);
    assert_true(back.offer->timeout_s == 10 && back.offer->interval_s == 0.25);

    buf_clear(&f->out);
    work_write_orders(&f->out, &(struct work_orders){.seq = 9});
    assert_int_equal(work_read_orders(&f->arena, buf_view(&f->out), &orders, &f->error), 0);
    assert_int_equal(orders.seq, 9);
    assert_false(orders.known);

    buf_clear(&f->out);
    work_write_nudge(&f->out);
    assert_int_equal(work_read_orders(&f->arena, buf_view(&f->out), &orders, &f->error), MITE_EAGAIN);
}

/* ---- what is refused ---- */

enum reader { REQUEST, WELCOME, ASSIGNMENT, ORDERS };

static int read_as(struct fixture *f, enum reader reader, struct str bytes)
{
    struct work_request request;
    struct work_welcome welcome;
    struct work_assignment assignment;
    struct work_orders orders;

    switch (reader) {
    case REQUEST:
        return work_read_request(&f->arena, bytes, &request, &f->error);
    case WELCOME:
        return work_read_welcome(&f->arena, bytes, &welcome, &f->error);
    case ASSIGNMENT:
        return work_read_assignment(&f->arena, bytes, &assignment, &f->error);
    default:
        return work_read_orders(&f->arena, bytes, &orders, &f->error);
    }
}

static void bad_messages_are_refused_with_a_sentence(void **state)
{
    static const struct {
        enum reader reader;
        const char *bytes;
        size_t size;
        int code;
        const char *sentence;
    } bad[] = {
#define BAD(reader, bytes, code, sentence) {reader, bytes, sizeof(bytes) - 1, code, sentence}
        BAD(REQUEST, "", MITE_EPROTO, "the bytes end inside a value"),
        BAD(REQUEST, "\x92\x01", MITE_EPROTO, "the bytes end inside a value"),
        BAD(REQUEST, "\xc1", MITE_EPROTO, "byte 0xc1 begins no value"),
        BAD(REQUEST, "\x92\x01\xc0\xc0", MITE_EPROTO, "1 bytes follow behind the message"),
        BAD(REQUEST, "\x05", MITE_EPROTO, "a request must be a list, not integer"),
        BAD(REQUEST, "\x91\x01", MITE_EPROTO, "a request has 1 items: it must have 2"),
        BAD(REQUEST, "\x92\xa1x\xc0", MITE_EPROTO, "its kind must be a whole number, not text"),
        BAD(REQUEST, "\x92\x09\xc0", MITE_EPROTO, "there is no request of kind 9"),
        BAD(REQUEST, "\x92\x03\xff", MITE_EPROTO, "the runner's id is -1: it must be 0 or more"),
        BAD(REQUEST, "\x92\x02\x94\x01\x90\x90\xc0", MITE_EPROTO, "what runs must be a map, not list"),
        BAD(REQUEST, "\x92\x02\x94\x01\x80\x91\x91\x01\xc0", MITE_EPROTO,
            "a completed item has 1 items: it must have 2"),
        BAD(REQUEST, "\x95\x04\x00\x01\x01\x80", MITE_EPROTO, "a report has sequence number 0: they begin with 1"),
        BAD(REQUEST,
            "\x95\x04\x01\x01\x01\x81\xa3"
            "cpu\xa1x",
            MITE_EPROTO, "the CPU share must be a number, not text"),
        BAD(REQUEST, "\x92\x03\xcf\xff\xff\xff\xff\xff\xff\xff\xff", MITE_EPROTO,
            "the runner's id is 18446744073709551615: that is too large"),
        BAD(REQUEST, "\x92\x05\xc0", MITE_EPROTO, "a command must be text, not nil"),
        BAD(WELCOME, "\x93\x01\xa1t\x91\x92\xc0\x01", MITE_EPROTO, "a key of the configuration must be text, not nil"),
        BAD(WELCOME,
            "\x94\x01\xa1t\x90\x81\xa7"
            "dialect\x01",
            MITE_EPROTO, "the offer must have a timeout and an interval"),
        BAD(ASSIGNMENT, "\x93\x91\x94\x01\xc0\xc0\xc0\x90\xc2", MITE_EPROTO, "an item of work names no journey"),
        BAD(ASSIGNMENT, "\x93\x91\x94\x01\xc0\xa1j\x80\x90\xc2", MITE_EPROTO,
            "a journey's arguments must be a list or nil, not map"),
        BAD(ASSIGNMENT, "\x93\x90\x90\x00", MITE_EPROTO, "whether to stop must be true or false, not integer"),
        BAD(ORDERS, "\x91\x01", MITE_EPROTO, "the answer to a report has 1 items: it must have 2"),
        BAD(ORDERS, "\x92\x01\x81\xaaspawn_rate\xcb\x7f\xf0\0\0\0\0\0\0", MITE_EPROTO,
            "the spawn rate must be a number, not float"),
#undef BAD
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(read_as(f, bad[i].reader, (struct str){bad[i].bytes, bad[i].size}), bad[i].code);
        assert_string_equal(f->error.text, bad[i].sentence);
        assert_int_equal(f->error.code, bad[i].code);
    }
}

/* What later dialects may add does not disturb. */
static void unknown_keys_and_further_items_are_passed_over(void **state)
{
    static const char orders[] = "\x93\x01\x82\xa3new\x01\xa4stop\xc3\x05";
    static const char offer[] = "\x94\x01\xa1t\x90\x81\xa7"
                                "dialect\x02";
    struct fixture *f = *state;
    struct work_welcome welcome;
    struct work_orders out;

    assert_int_equal(work_read_orders(&f->arena, (struct str){orders, sizeof orders - 1}, &out, NULL), 0);
    assert_true(out.stop);
    assert_int_equal(work_read_welcome(&f->arena, (struct str){offer, sizeof offer - 1}, &welcome, NULL), 0);
    assert_null(welcome.offer);
}

static void more_than_the_limits_is_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t *leases = calloc(WORK_ITEMS_MAX + 1, sizeof *leases);
    char *long_text = malloc(WORK_TEXT_MAX + 1);
    struct work_request request = {.kind = WORK_REPORT,
                                   .report = {.seq = 1, .done = leases, .done_count = WORK_ITEMS_MAX + 1}};

    work_write_request(&f->out, &request);
    assert_int_equal(read_as(f, REQUEST, buf_view(&f->out)), MITE_ELIMIT);
    assert_string_equal(f->error.text, "the leases that go back has 100001 items: 100000 are allowed");
    buf_clear(&f->out);
    request.report.done_count = WORK_ITEMS_MAX;
    work_write_request(&f->out, &request);
    assert_int_equal(read_as(f, REQUEST, buf_view(&f->out)), 0);

    memset(long_text, 'x', WORK_TEXT_MAX + 1);
    buf_clear(&f->out);
    request.report.done_count = 0;
    request.report.trouble = (struct str){long_text, WORK_TEXT_MAX + 1};
    work_write_request(&f->out, &request);
    assert_int_equal(read_as(f, REQUEST, buf_view(&f->out)), MITE_ELIMIT);
    free(leases);
    free(long_text);
}

/* An arena that is too small is said to be; nothing is half read. */
static void small_arenas_are_survived(void **state)
{
    struct fixture *f = *state;
    struct work_request request = {.kind = WORK_REPORT, .report = random_report(f)}, back;
    int rc = MITE_ELIMIT;

    work_write_request(&f->out, &request);
    for (size_t limit = 16; rc != 0 && limit < 1 << 20; limit += 16) {
        struct arena small;

        arena_init(&small, limit);
        rc = work_read_request(&small, buf_view(&f->out), &back, &f->error);
        assert_true(rc == 0 || rc == MITE_ELIMIT);
        arena_done(&small);
    }
    assert_int_equal(rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(golden_requests_come_back_byte_for_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(golden_welcome_comes_back_byte_for_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(golden_assignments_come_back_byte_for_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reports_come_back_as_they_went, set_up, tear_down),
        cmocka_unit_test_setup_teardown(orders_come_back_as_they_went, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plain_messages_come_back_as_they_went, set_up, tear_down),
        cmocka_unit_test_setup_teardown(small_messages_come_back_as_they_went, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_messages_are_refused_with_a_sentence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_keys_and_further_items_are_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_the_limits_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(small_arenas_are_survived, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
