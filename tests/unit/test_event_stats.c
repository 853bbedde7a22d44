/* The statistics of messages: which are counted where, under which labels, and what is dumped of it. */
#include "from_json.h"
#include "wire.h"

#include "stats/dump.h"
#include "stats/event_stats.h"
#include "stats/page.h"

#include <stdio.h>

#define ALL (EVENT_PROCESSORS_USUAL | EVENT_PROCESSOR_DNS)

static void init(struct event_stats *stats, unsigned processors, size_t max_series)
{
    struct mite_error error = {0};

    assert_int_equal(event_stats_init(stats, processors, max_series, &error), 0);
}

static int take(struct event_stats *stats, const char *json)
{
    struct buf bytes;

    buf_init(&bytes, 0);
    int code = event_stats_take(stats, from_json(&bytes, json));
    buf_done(&bytes);
    return code;
}

static void take_file(struct event_stats *stats, const char *file)
{
    struct buf bytes;

    buf_init(&bytes, 0);
    wire_bytes(&bytes, file);
    assert_int_equal(event_stats_take(stats, buf_view(&bytes)), 0);
    buf_done(&bytes);
}

static void dump(struct event_stats *stats, struct buf *bytes)
{
    buf_clear(bytes);
    msgpack_write_list(bytes, (uint32_t)stats->count);
    event_stats_dump(stats, bytes);
    assert_false(bytes->failed);
}

/* The metrics of one, as JSON. */
static void assert_metric(struct event_stats *stats, const char *name, const char *key, const char *json)
{
    struct arena arena;
    struct buf bytes, text;
    struct value list;
    size_t used;

    arena_init(&arena, 0);
    buf_init(&bytes, 0);
    buf_init(&text, 0);
    dump(stats, &bytes);
    assert_int_equal(msgpack_read(&arena, buf_view(&bytes), &used, &list, NULL), 0);
    for (uint32_t i = 0; i < list.count; i++) {
        if (str_is(value_str(value_get(&list.items[i], "name")), name)) {
            json_write(&text, value_get(&list.items[i], key));
        }
    }
    assert_non_null(text.data);
    assert_string_equal(text.data, json);
    buf_done(&text);
    buf_done(&bytes);
    arena_done(&arena);
}

#define HTTP                                                                                                           \
    "\"type\": \"http_metrics\", \"test\": \"t\", \"journey\": \"j\", \"transaction\": \"a\", \"method\": \"GET\", "   \
    "\"response_code\": 200, \"dns_time\": 0.5"

/* ---- what is counted ---- */

/* What the Python program wrote after the same error: all but the counter that it does not have. */
static void test_a_dump_has_the_same_bytes(void **state)
{
    struct event_stats stats;
    struct buf ours, theirs;

    buf_init(&ours, 0);
    buf_init(&theirs, 0);
    init(&stats, EVENT_PROCESSORS_USUAL, 100);
    take_file(&stats, "event_error");
    for (size_t i = 0; i < stats.count; i++) {
        if (str_is(stats.metrics[i].shape.name, "mite_messages_dropped_total")) {
            metric_done(&stats.metrics[i]);
            memmove(&stats.metrics[i], &stats.metrics[i + 1], (stats.count - i - 1) * sizeof stats.metrics[0]);
            stats.count--;
        }
    }
    dump(&stats, &ours);
    wire_bytes(&theirs, "stats_dump");
    assert_int_equal(ours.size, theirs.size);
    assert_memory_equal(ours.data, theirs.data, ours.size);
    event_stats_done(&stats);
    buf_done(&ours);
    buf_done(&theirs);
}

static void test_messages_of_the_wire(void **state)
{
    struct event_stats stats;

    init(&stats, ALL, 100);
    take_file(&stats, "event_http_metrics_GET");
    assert_metric(&stats, "mite_http_response_total", "metrics",
                  "{\"__map__\": [[[\"wirejourneys:scenario\", \"wirejourneys:shop\", \"__root__ :: shop\", \"GET\", "
                  "200], 1]]}");
    take_file(&stats, "event_http_metrics_GET");
    assert_metric(&stats, "mite_http_response_time_seconds", "sums",
                  "{\"__map__\": [[[\"__root__ :: shop\"], 0.000838]]}");
    take_file(&stats, "event_http_metrics_GET");
    assert_metric(&stats, "mite_dns_time", "bin_counts",
                  "{\"__map__\": [[[\"__root__ :: shop\"], [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]]]}");
    take_file(&stats, "event_txn_root");
    assert_metric(&stats, "mite_transaction_total", "metrics",
                  "{\"__map__\": [[[\"wirejourneys:scenario\", \"wirejourneys:broken\", \"__root__\", true], 1]]}");
    take_file(&stats, "event_exception");
    assert_metric(
        &stats, "mite_journey_error_total", "metrics",
        "{\"__map__\": [[[\"wirejourneys:scenario\", \"wirejourneys:crash\", \"__root__ :: exception\", "
        "\"/srv/tests/wirejourneys.py:24:crash\", \"ValueError\", \"ValueError: line one\\nline two\"], 1]]}");
    take_file(&stats, "event_controller_report");
    assert_metric(&stats, "mite_actual_count", "metrics",
                  "{\"__map__\": [[[\"wirejourneys:scenario\", 2], 0], [[\"wirejourneys:scenario\", 1], 2], "
                  "[[\"wirejourneys:scenario\", 3], 2]]}");
    assert_metric(&stats, "mite_required_count", "metrics",
                  "{\"__map__\": [[[\"wirejourneys:scenario\", 1], 2], [[\"wirejourneys:scenario\", 3], 2]]}");
    assert_metric(&stats, "mite_runner_count", "metrics", "{\"__map__\": [[[\"wirejourneys:scenario\"], 1]]}");
    take_file(&stats, "event_data_created");
    event_stats_done(&stats);
}

static void test_dropped_messages(void **state)
{
    struct event_stats stats;

    init(&stats, ALL, 100);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(take(&stats, "{\"type\": \"messages_dropped\", \"component\": \"duplicator\", \"output\": "
                                      "\"tcp://x\", \"dropped\": {\"txn\": 3, \"http_metrics\": 4}}"),
                         0);
    }
    assert_metric(&stats, "mite_messages_dropped_total", "metrics",
                  "{\"__map__\": [[[\"duplicator\", \"txn\"], 6], [[\"duplicator\", \"http_metrics\"], 8]]}");
    event_stats_done(&stats);
}

/* Counters and histograms tell what is new, gauges what is so. */
static void test_deltas(void **state)
{
    struct event_stats stats;

    init(&stats, ALL, 100);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(take(&stats, "{" HTTP ", \"total_time\": 0.3}"), 0);
    }
    assert_int_equal(take(&stats, "{" HTTP ", \"total_time\": 100}"), 0);
    assert_metric(&stats, "mite_http_response_time_seconds", "total_counts", "{\"__map__\": [[[\"a\"], 4]]}");
    assert_metric(&stats, "mite_http_response_time_seconds", "total_counts", "{}");
    assert_int_equal(take(&stats, "{" HTTP ", \"total_time\": 64}"), 0);
    assert_metric(&stats, "mite_http_response_time_seconds", "bin_counts",
                  "{\"__map__\": [[[\"a\"], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]]}");
    assert_int_equal(take(&stats, "{\"type\": \"controller_report\", \"test\": \"t\", \"num_runners\": 3, "
                                  "\"actual\": {}, \"required\": {}}"),
                     0);
    for (int i = 0; i < 2; i++) {
        assert_metric(&stats, "mite_runner_count", "metrics", "{\"__map__\": [[[\"t\"], 3]]}");
    }
    event_stats_done(&stats);
}

#define REPORT                                                                                                         \
    "{\"type\": \"controller_report\", \"test\": \"t\", \"num_runners\": 1, \"required\": {}, \"actual\": {\"1\": 1, " \
    "\"2\": 2}}"

/* A message of a failure with labels that are as long as they may be. */
static int take_failure(struct event_stats *stats, int number)
{
    static char json[3 * METRIC_LABEL_MAX], x[METRIC_LABEL_MAX + 1];

    memset(x, 'x', METRIC_LABEL_MAX);
    snprintf(json, sizeof json, "{\"type\": \"error\", \"test\": \"%d\", \"location\": \"%s\", \"message\": \"%s\"}",
             number, x, x);
    return take(stats, json);
}

/* What all dumps that are due tell, and how many they are. */
static double sum_of_failures(struct event_stats *stats, int *dumps)
{
    struct page page;
    struct buf bytes;
    struct series *series;
    double sum = 0;
    bool left;

    page_init(&page, 10000);
    buf_init(&bytes, DUMP_MAX);
    *dumps = 0;
    do {
        buf_clear(&bytes);
        msgpack_write_list(&bytes, (uint32_t)stats->count);
        left = event_stats_dump(stats, &bytes);
        assert_int_equal(page_take_bytes(&page, buf_view(&bytes), NULL), 0);
        ++*dumps;
    } while (left);
    struct metric *metric = map_get(&page.metrics, STR("mite_journey_error_total"));
    for (uint32_t i = 0; (series = metric_next(metric, &i));) {
        sum += series->value;
    }
    metric = map_get(&page.metrics, STR("mite_actual_count"));
    assert_int_equal(metric->by_key.live_count, 2);
    buf_done(&bytes);
    page_done(&page);
    return sum;
}

/* Of more than a dump has room for nothing is lost; and all of it is told once. */
static void test_a_dump_that_would_be_too_large(void **state)
{
    struct event_stats stats;
    int dumps;

    init(&stats, ALL, 10000);
    assert_int_equal(take(&stats, REPORT), 0);
    for (int i = 0; i < 6000; i++) {
        assert_int_equal(take_failure(&stats, i % 3000), 0);
    }
    assert_true(sum_of_failures(&stats, &dumps) == 6000);
    assert_in_range(dumps, 3, 6);
    assert_int_equal(take_failure(&stats, 7), 0);
    assert_true(sum_of_failures(&stats, &dumps) == 1);
    assert_int_equal(dumps, 1);
    event_stats_done(&stats);
}

static void test_a_dump_without_memory(void **state)
{
    struct event_stats stats;
    struct buf small;
    int dumps;

    init(&stats, ALL, 100);
    assert_int_equal(take(&stats, REPORT), 0);
    assert_int_equal(take_failure(&stats, 1), 0);
    buf_init(&small, 1000);
    assert_true(event_stats_dump(&stats, &small));
    assert_true(small.failed);
    buf_done(&small);
    assert_true(sum_of_failures(&stats, &dumps) == 1);
    assert_int_equal(dumps, 1);
    event_stats_done(&stats);
}

/* Numbers whose sum would be none, which no exporter takes. */
static void test_numbers_beyond_reason(void **state)
{
    struct event_stats stats;
    int dumps;

    init(&stats, ALL, 100);
    assert_int_equal(take(&stats, REPORT), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(take(&stats, "{" HTTP ", \"total_time\": 1.7e308}"), MITE_EINVAL);
        assert_int_equal(take(&stats, "{\"type\": \"messages_dropped\", \"dropped\": {\"txn\": 1.7e308}}"),
                         MITE_EINVAL);
    }
    sum_of_failures(&stats, &dumps);
    event_stats_done(&stats);
}

/* ---- labels ---- */

static void assert_labels(const char *fields, const char *labels)
{
    struct event_stats stats;
    char json[2 * METRIC_LABEL_MAX + 200], expected[METRIC_LABEL_MAX + 200];

    init(&stats, EVENT_PROCESSOR_MITE, 100);
    snprintf(json, sizeof json, "{\"type\": \"txn\", %s}", fields);
    assert_int_equal(take(&stats, json), 0);
    snprintf(expected, sizeof expected, "{\"__map__\": [[%s, 1]]}", labels);
    assert_metric(&stats, "mite_transaction_total", "metrics", expected);
    event_stats_done(&stats);
}

static void test_labels_of_every_kind(void **state)
{
    assert_labels("\"test\": 1.5, \"journey\": null", "[1.5, \"\", \"\", \"\"]");
    assert_labels("\"test\": [1], \"journey\": {}, \"transaction\": -7, \"had_error\": false",
                  "[\"list\", \"map\", -7, false]");
    assert_labels("\"test\": {\"__bytes__\": \"R0VU\"}, \"journey\": 18446744073709551615",
                  "[\"GET\", 18446744073709551615, \"\", \"\"]");
    assert_labels("\"test\": {\"__bytes__\": \"YYBi\"}", "[\"a?b\", \"\", \"\", \"\"]");
}

static void test_long_labels_are_cut(void **state)
{
    char fields[2 * METRIC_LABEL_MAX], labels[2 * METRIC_LABEL_MAX], x[METRIC_LABEL_MAX + 1];

    memset(x, 'x', METRIC_LABEL_MAX);
    x[METRIC_LABEL_MAX - 2] = '\0';
    snprintf(fields, sizeof fields, "\"test\": \"%s\xe2\x82\xac\"", x);
    snprintf(labels, sizeof labels, "[\"%s\", \"\", \"\", \"\"]", x);
    assert_labels(fields, labels);
}

static void test_too_many_label_sets(void **state)
{
    struct event_stats stats;
    char json[200];

    init(&stats, EVENT_PROCESSOR_MITE, 2);
    for (int i = 0; i < 5; i++) {
        snprintf(json, sizeof json,
                 "{\"type\": \"txn\", \"test\": \"t\", \"journey\": \"j\", \"transaction\": \"%d\", "
                 "\"had_error\": false}",
                 i);
        assert_int_equal(take(&stats, json), 0);
    }
    assert_string_equal(event_stats_overflowed(&stats), "mite_transaction_total");
    assert_null(event_stats_overflowed(&stats));
    assert_metric(&stats, "mite_transaction_total", "metrics",
                  "{\"__map__\": [[[\"t\", \"j\", \"0\", false], 1], [[\"t\", \"j\", \"1\", false], 1], [[\"other\", "
                  "\"other\", \"other\", \"other\"], 3]]}");
    assert_int_equal(take(&stats, "{\"type\": \"controller_report\", \"test\": \"t\", \"num_runners\": 1, "
                                  "\"required\": {}, \"actual\": {\"1\": 1, \"2\": 2, \"3\": 3}}"),
                     0);
    assert_metric(&stats, "mite_actual_count", "metrics", "{\"__map__\": [[[\"t\", \"1\"], 1], [[\"t\", \"2\"], 2]]}");
    event_stats_done(&stats);
}

/* ---- what cannot be used ---- */

static void test_bad_messages(void **state)
{
    static const char *const bad[] = {
        "[1]",
        "{}",
        "{\"type\": 7}",
        "{" HTTP "}",
        "{" HTTP ", \"total_time\": \"long\"}",
        "{\"type\": \"controller_report\", \"actual\": 1, \"required\": {}, \"num_runners\": 1}",
        "{\"type\": \"messages_dropped\", \"dropped\": {\"txn\": -1}}",
        "{\"type\": \"messages_dropped\", \"dropped\": {\"txn\": \"many\"}}",
    };
    struct event_stats stats;

    init(&stats, ALL, 100);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(take(&stats, bad[i]), i < 3 ? MITE_EPROTO : MITE_EINVAL);
    }
    assert_int_equal(take(&stats, "{\"type\": \"my_own\"}"), 0);
    assert_metric(&stats, "mite_messages_dropped_total", "metrics", "{}");
    event_stats_done(&stats);
}

static void test_processors(void **state)
{
    struct event_stats stats;

    init(&stats, EVENT_PROCESSOR_HTTP, 100);
    assert_int_equal(stats.count, 2);
    assert_int_equal(take(&stats, "{\"type\": \"txn\"}"), 0);
    event_stats_done(&stats);
    init(&stats, 0, 100);
    assert_int_equal(stats.count, 0);
    event_stats_done(&stats);
}

/* ---- buckets ---- */

static void test_buckets_from_the_environment(void **state)
{
    struct event_stats stats;

    setenv("MITE_HTTP_HISTOGRAM_BUCKETS", "2, 0.5,1e1", 1);
    init(&stats, EVENT_PROCESSOR_HTTP, 100);
    assert_metric(&stats, "mite_http_response_time_seconds", "bins", "[0.5, 2.0, 10.0]");
    event_stats_done(&stats);
    unsetenv("MITE_HTTP_HISTOGRAM_BUCKETS");
}

static void test_malformed_buckets(void **state)
{
    static const struct {
        const char *text, *said;
    } bad[] = {
        {"", "MITE_DNS_HISTOGRAM_BUCKETS: \"\" is no bound"},
        {"1,,2", "\"\" is no bound"},
        {"1,two", "\"two\" is no bound"},
        {"1,+Inf", "+Inf is always there"},
        {"1,nan", "\"nan\" is no bound"},
        {"1;2", "\"1;2\" is no bound"},
        {"1,2,1.0", "has the bound 1 twice"},
    };
    struct event_stats stats;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mite_error error = {0};
        setenv("MITE_DNS_HISTOGRAM_BUCKETS", bad[i].text, 1);
        assert_int_equal(event_stats_init(&stats, ALL, 100, &error), MITE_EINVAL);
        assert_non_null(strstr(error.text, bad[i].said));
        assert_int_equal(event_stats_init(&stats, EVENT_PROCESSORS_USUAL, 100, &error), 0);
        event_stats_done(&stats);
    }
    unsetenv("MITE_DNS_HISTOGRAM_BUCKETS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dump_has_the_same_bytes),
        cmocka_unit_test(test_messages_of_the_wire),
        cmocka_unit_test(test_dropped_messages),
        cmocka_unit_test(test_deltas),
        cmocka_unit_test(test_a_dump_that_would_be_too_large),
        cmocka_unit_test(test_a_dump_without_memory),
        cmocka_unit_test(test_numbers_beyond_reason),
        cmocka_unit_test(test_labels_of_every_kind),
        cmocka_unit_test(test_long_labels_are_cut),
        cmocka_unit_test(test_too_many_label_sets),
        cmocka_unit_test(test_bad_messages),
        cmocka_unit_test(test_processors),
        cmocka_unit_test(test_buckets_from_the_environment),
        cmocka_unit_test(test_malformed_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
