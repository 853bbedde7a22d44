/* The metrics page: dumps add up, text is as Prometheus reads it, and a bad dump changes nothing. */
#include "failmalloc.h"
#include "from_json.h"
#include "wire.h"

#include "stats/page.h"

#define COUNTER "{\"type\": \"Counter\", \"name\": \"c\", \"labels\": [\"a\"], \"metrics\": "
#define GAUGE   "{\"type\": \"Gauge\", \"name\": \"g\", \"labels\": [], \"metrics\": "

static int take(struct page *page, const char *json, struct mite_error *error)
{
    struct buf bytes;

    buf_init(&bytes, 0);
    int code = page_take_bytes(page, from_json(&bytes, json), error);
    buf_done(&bytes);
    return code;
}

static void assert_page(const struct page *page, const char *expected)
{
    struct buf text;

    buf_init(&text, 0);
    buf_text(&text, "");
    page_write(&text, page);
    assert_false(text.failed);
    assert_string_equal(text.data, expected);
    buf_done(&text);
}

/* A page with nothing but these dumps. */
static void assert_text(const char *json, const char *expected)
{
    struct page page;
    struct mite_error error = {0};

    page_init(&page, 100);
    assert_int_equal(take(&page, json, &error), 0);
    assert_page(&page, expected);
    page_done(&page);
}

static void test_counters_add_up(void **state)
{
    struct page page;

    page_init(&page, 100);
    assert_int_equal(take(&page, "[" COUNTER "{\"__map__\": [[[\"x\"], 2], [[\"y\"], 0.5]]}}]", NULL), 0);
    assert_int_equal(take(&page, "[" COUNTER "{\"__map__\": [[[\"x\"], 40]]}}]", NULL), 0);
    assert_page(&page, "# HELP c From a stats processor\n# TYPE c counter\nc{a=\"x\"} 42\nc{a=\"y\"} 0.5\n");
    page_done(&page);
}

static void test_gauges_are_the_latest(void **state)
{
    struct page page;

    page_init(&page, 100);
    assert_int_equal(take(&page, "[" GAUGE "{\"__map__\": [[[], 2]]}}]", NULL), 0);
    assert_int_equal(take(&page, "[" GAUGE "{\"__map__\": [[[], 1]]}}]", NULL), 0);
    assert_page(&page, "# HELP g From a stats processor\n# TYPE g gauge\ng 1\n");
    page_done(&page);
}

static void test_histograms(void **state)
{
    struct page page;
    const char *dump = "[{\"type\": \"Histogram\", \"name\": \"mite_dns_time\", \"labels\": [\"a\"], "
                       "\"bins\": [1e-7, 0.1, 2.5], \"bin_counts\": {\"__map__\": [[[\"x\"], [0, 1, 2]]]}, "
                       "\"sums\": {\"__map__\": [[[\"x\"], 9.25]]}, \"total_counts\": {\"__map__\": [[[\"x\"], 3]]}}]";

    page_init(&page, 100);
    assert_int_equal(take(&page, dump, NULL), 0);
    assert_int_equal(take(&page, dump, NULL), 0);
    assert_page(&page, "# HELP mite_dns_time Time that name lookup took, in seconds\n"
                       "# TYPE mite_dns_time histogram\n"
                       "mite_dns_time_bucket{a=\"x\",le=\"1e-07\"} 0\n"
                       "mite_dns_time_bucket{a=\"x\",le=\"0.100000\"} 2\n"
                       "mite_dns_time_bucket{a=\"x\",le=\"2.500000\"} 4\n"
                       "mite_dns_time_bucket{a=\"x\",le=\"+Inf\"} 6\n"
                       "mite_dns_time_sum{a=\"x\"} 18.5\n"
                       "mite_dns_time_count{a=\"x\"} 6\n");
    page_done(&page);
}

static void test_labels(void **state)
{
    assert_text("[" COUNTER "{\"__map__\": [[[\"a\\\"b\\\\c\\nd\"], 1], [[true], 2], [[false], 3], [[null], 4], "
                "[[-5], 5], [[1.0], 6], [[{\"__bytes__\": \"R0VU\"}], 7], [[{\"__bytes__\": \"/w==\"}], 8], "
                "[[[1]], 9], [[18446744073709551615], 10]]}}]",
                "# HELP c From a stats processor\n"
                "# TYPE c counter\n"
                "c{a=\"a\\\"b\\\\c\\nd\"} 1\n"
                "c{a=\"True\"} 2\n"
                "c{a=\"False\"} 3\n"
                "c{a=\"\"} 4\n"
                "c{a=\"-5\"} 5\n"
                "c{a=\"1.0\"} 6\n"
                "c{a=\"GET\"} 7\n"
                "c{a=\"?\"} 8\n"
                "c{a=\"list\"} 9\n"
                "c{a=\"18446744073709551615\"} 10\n");
}

/* Bytes, as the Python program sends methods, and text are one label set. */
static void test_what_looks_the_same_is_one(void **state)
{
    assert_text("[" COUNTER
                "{\"__map__\": [[[{\"__bytes__\": \"R0VU\"}], 1], [[\"GET\"], 2], [[\"1\"], 3], [[1], 4]]}}]",
                "# HELP c From a stats processor\n# TYPE c counter\nc{a=\"GET\"} 3\nc{a=\"1\"} 7\n");
}

static void test_numbers_that_are_none(void **state)
{
    static const char bytes[] =
        "\x91\x84\xa4type\xa5Gauge\xa4name\xa1g\xa6labels\x91\xa1"
        "a\xa7metrics\x82"
        "\x91\x01\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x91\x02\xcb\xff\xf0\x00\x00\x00\x00\x00\x00";
    struct page page;

    page_init(&page, 100);
    assert_int_equal(page_take_bytes(&page, (struct str){bytes, sizeof bytes - 1}, NULL), 0);
    assert_page(&page, "# HELP g From a stats processor\n# TYPE g gauge\ng{a=\"1\"} NaN\ng{a=\"2\"} -Inf\n");
    page_done(&page);
}

static void test_a_dump_of_the_wire(void **state)
{
    struct page page;
    struct buf bytes, text;

    buf_init(&bytes, 0);
    buf_init(&text, 0);
    page_init(&page, 100);
    wire_bytes(&bytes, "stats_dump");
    assert_int_equal(page_take_bytes(&page, buf_view(&bytes), NULL), 0);
    page_write(&text, &page);
    assert_non_null(strstr(text.data,
                           "\nmite_journey_error_total{test=\"wirejourneys:scenario\",journey=\"wirejourneys:"
                           "broken\",transaction=\"__root__ :: mite error\",location=\"/srv/tests/"
                           "wirejourneys.py:20:broken\",ex_type=\"MiteError\",message=\"mite.exceptions."
                           "MiteError: no stock\"} 1\n"));
    assert_non_null(strstr(text.data, "# TYPE mite_http_response_time_seconds histogram\n"));
    page_done(&page);
    buf_done(&bytes);
    buf_done(&text);
}

static void test_too_many_label_sets(void **state)
{
    struct page page;

    page_init(&page, 1);
    assert_null(page_overflowed(&page));
    assert_int_equal(take(&page, "[" COUNTER "{\"__map__\": [[[\"x\"], 1], [[\"y\"], 2], [[\"other\"], 3]]}}]", NULL),
                     0);
    assert_string_equal(page_overflowed(&page), "c");
    assert_null(page_overflowed(&page));
    assert_page(&page, "# HELP c From a stats processor\n# TYPE c counter\nc{a=\"x\"} 1\nc{a=\"other\"} 5\n");
    page_done(&page);
}

static void test_bad_dumps(void **state)
{
    static const struct {
        const char *json, *said;
    } bad[] = {
        {"{}", "a dump is a list of maps, not of type map"},
        {"[7]", "not of type integer"},
        {"[{\"name\": \"c\"}]", "metric c is no Counter"},
        {"[{\"name\": \"c\", \"type\": \"Summary\"}]", "metric c is no Counter"},
        {"[{\"name\": \"two words\", \"type\": \"Counter\"}]", "no name that Prometheus takes"},
        {"[{\"name\": \"c\", \"type\": \"Counter\", \"labels\": [\"a-b\"]}]", "label 1 is no name"},
        {"[{\"name\": \"c\", \"type\": \"Counter\", \"labels\": [\"a\", \"a\"]}]", "label 2 is no name"},
        {"[{\"name\": \"c\", \"type\": \"Histogram\", \"labels\": [\"le\"]}]", "label 1 is no name"},
        {"[{\"name\": \"c\", \"type\": \"Counter\", \"labels\": {}}]", "has no list of at most"},
        {"[{\"name\": \"c\", \"type\": \"Counter\", \"labels\": []}]", "has no map \"metrics\""},
        {"[" COUNTER "{\"x\": 1}}]", "not one value for each label"},
        {"[" COUNTER "{\"__map__\": [[[\"x\", \"y\"], 1]]}}]", "not one value for each label"},
        {"[" COUNTER "{\"__map__\": [[[\"x\"], \"1\"]]}}]", "a number in \"metrics\" is none"},
        {"[{\"name\": \"c\", \"type\": \"Histogram\", \"labels\": [], \"bins\": [2, 1]}]", "no rising numbers"},
        {"[{\"name\": \"c\", \"type\": \"Histogram\", \"labels\": [], \"bins\": [1, 2], \"bin_counts\": {\"__map__\": "
         "[[[], [2, 1]]]}}]",
         "a number in \"bin_counts\" is none"},
        {"[{\"name\": \"c\", \"type\": \"Histogram\", \"labels\": [], \"bins\": [1], \"bin_counts\": {}, \"sums\": {}, "
         "\"total_counts\": {\"__map__\": [[[], -1]]}}]",
         "a number in \"total_counts\" is none"},
        {"[" COUNTER "{\"__map__\": [[[\"x\"], 7]]}}, {\"name\": \"c\", \"type\": \"Gauge\"}]", "has no list"},
        {"[" GAUGE "{}}, " COUNTER "{\"__map__\": [[[\"x\"], \"1\"]]}}]", "a number in \"metrics\" is none"},
        {"[{\"name\": \"mite_exporter_bad_messages_total\", \"type\": \"Counter\"}]", "is the exporter's own"},
        {"[" COUNTER "{\"__map__\": [[[\"x\"], 7]]}}, {\"name\": \"c\", \"type\": \"Gauge\", \"labels\": [], "
         "\"metrics\": {}}]",
         "has another type"},
    };
    struct page page;

    page_init(&page, 100);
    assert_int_equal(take(&page, "[" COUNTER "{\"__map__\": [[[\"x\"], 1]]}}]", NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mite_error error = {0};
        assert_int_equal(take(&page, bad[i].json, &error), MITE_EPROTO);
        assert_non_null(strstr(error.text, bad[i].said));
    }
    assert_int_equal(page_take_bytes(&page, STR("\x91"), NULL), MITE_EPROTO);
    assert_int_equal(page_take_bytes(&page, STR("\x90\x90"), NULL), MITE_EPROTO);
    assert_page(&page, "# HELP c From a stats processor\n# TYPE c counter\nc{a=\"x\"} 1\n");
    page_done(&page);
}

/* What a histogram's lines are called nobody else may be called, whoever comes first. */
static void test_names_of_a_histograms_lines(void **state)
{
    static const char *const ends[] = {"_bucket", "_sum", "_count"}, *const kinds[] = {"Counter", "Gauge"};
    const char *histogram = "{\"name\": \"h\", \"type\": \"Histogram\", \"labels\": [], \"bins\": [], "
                            "\"bin_counts\": {}, \"sums\": {}, \"total_counts\": {}}";
    char other[200], dump[500];

    for (size_t i = 0; i < 12; i++) {
        struct page page;
        struct mite_error error = {0};
        bool first = i < 6;
        snprintf(other, sizeof other, "{\"name\": \"h%s\", \"type\": \"%s\", \"labels\": [], \"metrics\": {}}",
                 ends[i % 3], kinds[i % 2]);
        snprintf(dump, sizeof dump, "[%s, %s]", first ? histogram : other, first ? other : histogram);
        page_init(&page, 100);
        assert_int_equal(take(&page, dump, &error), MITE_EPROTO);
        assert_non_null(strstr(error.text, "would have lines of one name"));
        assert_page(&page, "");
        page_done(&page);
    }
    assert_text("[{\"name\": \"h\", \"type\": \"Gauge\", \"labels\": [], \"metrics\": {}}, {\"name\": \"h_sum\", "
                "\"type\": \"Gauge\", \"labels\": [], \"metrics\": {}}]",
                "# HELP h From a stats processor\n# TYPE h gauge\n"
                "# HELP h_sum From a stats processor\n# TYPE h_sum gauge\n");
}

/* Without memory a dump is refused, or what it brings is counted as "other": never a broken page. */
static void test_memory(void **state)
{
    bool failed = true;
    struct buf bytes;

    buf_init(&bytes, 0);
    from_json(&bytes, "[" COUNTER "{\"__map__\": [[[\"x\"], 1]]}}, " GAUGE "{\"__map__\": [[[], 1]]}}]");
    for (long n = 0; failed; n++) {
        struct page page;
        struct buf text;
        failmalloc_start(n);
        page_init(&page, 100);
        buf_init(&text, 0);
        int code = page_take_bytes(&page, buf_view(&bytes), NULL);
        page_write(&text, &page);
        failed = failmalloc_stop();
        assert_true(code == 0 || (failed && code == MITE_ENOMEM));
        page_done(&page);
        buf_done(&text);
    }
    buf_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_add_up),
        cmocka_unit_test(test_gauges_are_the_latest),
        cmocka_unit_test(test_histograms),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_what_looks_the_same_is_one),
        cmocka_unit_test(test_numbers_that_are_none),
        cmocka_unit_test(test_a_dump_of_the_wire),
        cmocka_unit_test(test_too_many_label_sets),
        cmocka_unit_test(test_bad_dumps),
        cmocka_unit_test(test_names_of_a_histograms_lines),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
