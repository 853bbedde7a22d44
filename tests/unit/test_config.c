#include "scenario/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static bool has_text(const struct config *config, const char *key, const char *text)
{
    const struct value *value = config_get(config, str_of(key));

    return value && value->type == VALUE_TEXT && str_is(value_str(value), text);
}

static void values_are_copied_and_counted(void **state)
{
    char text[] = "one";
    struct value value = value_text(str_of(text)), number = value_int(7);
    struct config config;

    config_init(&config);
    assert_null(config_get(&config, STR("a")));
    assert_int_equal(config_set(&config, STR("a"), &value), 0);
    text[0] = 'X';
    assert_true(has_text(&config, "a", "one"));
    assert_int_equal(config_set(&config, STR("b"), &number), 0);
    assert_int_equal(config_set(&config, STR("a"), &number), 0);
    assert_int_equal(config_get(&config, STR("a"))->integer, 7);
    assert_int_equal(config.version, 3);
    assert_int_equal(((struct config_entry *)map_get(&config.entries, STR("a")))->version, 3);
    assert_int_equal(((struct config_entry *)map_get(&config.entries, STR("b")))->version, 2);
    config_done(&config);
}

static int eval_as_text(void *arg, struct config *config, struct str key, const char *expression,
                        struct mite_error *error)
{
    struct value value = value_text(str_of(expression));

    (*(int *)arg)++;
    return config_set(config, key, &value);
}

static void comes_from_the_environment(void **state)
{
    struct mite_error error = {0};
    struct config config;
    int evaluated = 0;

    setenv("MITE_CONF_test_msg", "Hello=from mite", 1);
    setenv("MITE_EVAL_CONF_numbers", "[1, 2]", 1);
    setenv("MITE_CONF_", "no key", 1);
    setenv("XMITE_CONF_other", "x", 1);
    config_init(&config);
    assert_int_equal(config_from_environment(&config, eval_as_text, &evaluated, &error), 0);
    assert_true(has_text(&config, "test_msg", "Hello=from mite"));
    assert_true(has_text(&config, "numbers", "[1, 2]"));
    assert_int_equal(evaluated, 1);
    assert_int_equal(config.entries.live_count, 2);
    config_done(&config);

    config_init(&config);
    assert_int_equal(config_from_environment(&config, NULL, NULL, &error), MITE_EINVAL);
    assert_non_null(strstr(error.text, "MITE_EVAL_CONF_numbers"));
    config_done(&config);
    unsetenv("MITE_EVAL_CONF_numbers");
    unsetenv("MITE_CONF_test_msg");
    unsetenv("MITE_CONF_");
}

static void splits_at_the_first_colon(void **state)
{
    struct mite_error error = {0};
    struct config config;

    config_init(&config);
    assert_int_equal(config_add_text(&config, "url:http://127.0.0.1:80/", &error), 0);
    assert_true(has_text(&config, "url", "http://127.0.0.1:80/"));
    assert_int_equal(config_add_text(&config, "empty:", &error), 0);
    assert_true(has_text(&config, "empty", ""));
    assert_int_equal(config_add_text(&config, "nothing", &error), MITE_EINVAL);
    assert_non_null(strstr(error.text, "\"nothing\" is not KEY:VALUE"));
    assert_int_equal(config_add_text(&config, ":value", &error), MITE_EINVAL);
    config_done(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_copied_and_counted),
        cmocka_unit_test(comes_from_the_environment),
        cmocka_unit_test(splits_at_the_first_colon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
