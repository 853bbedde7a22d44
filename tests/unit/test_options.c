#include "base/log.h"
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct options options;
static struct mite_error error;

/* Parses "mite" and the words up to NULL. */
static int parse(const char *first, ...)
{
    char *argv[16] = {(char *)"mite", (char *)first};
    int argc = first ? 2 : 1;
    va_list words;

    va_start(words, first);
    for (char *word; first && (word = va_arg(words, char *));) {
        argv[argc++] = word;
    }
    va_end(words);
    error_done(&error);
    return options_parse(argc, argv, &options, &error);
}

static void assert_refused(int rc, const char *part)
{
    assert_int_equal(rc, MITE_EINVAL);
    if (!strstr(error.text, part)) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, part);
    }
}

static void defaults_are_the_contract(void **state)
{
    assert_int_equal(parse("scenario", "test", "a:b", NULL), 0);
    assert_string_equal(options.command->name, "scenario test");
    assert_string_equal(options.positional[0], "a:b");
    assert_string_equal(options.log_level, "INFO");
    assert_true(options.spawn_rate == 1000 && options.max_loop_delay_s == 1 && options.min_loop_delay_s == 0);
    assert_int_equal(options.collector_roll, 100000);
    assert_string_equal(options.collector_dir, "collector_data");
    assert_null(options.recorder_dir);
    assert_true(options.collector && options.failure_backoff);
    assert_true(options.graceful_stop_s == 30 && options.connect_timeout_s == 10 && options.timeout_s == 60);
    assert_null(options.message_processors);
    assert_string_equal(options.benchmark_percentiles, "50:0,90:0,98:0,99:0");
    assert_string_equal(options.controller_socket, "tcp://127.0.0.1:14301");
    assert_string_equal(options.web_address, "127.0.0.1:9301");
}

static void options_stand_anywhere_and_take_both_forms(void **state)
{
    assert_int_equal(parse("--spawn-rate=2.5", "journey", "--volume", "7", "test", "a:b", "a:c", "--insecure", NULL),
                     0);
    assert_string_equal(options.command->name, "journey test");
    assert_int_equal(options.positional_count, 2);
    assert_true(options.spawn_rate == 2.5 && options.volume == 7 && options.insecure);
}

static void lists_repeat_and_flags_switch_off(void **state)
{
    assert_int_equal(parse("scenario", "test", "a:b", "--add-to-config=url:http://x:1", "--add-to-config", "b:2",
                           "--no-collector", "--failure-backoff=off", "--message-processors=", NULL),
                     0);
    assert_int_equal(options.add_to_config.count, 2);
    assert_string_equal(options.add_to_config.items[0], "url:http://x:1");
    assert_false(options.collector);
    assert_false(options.failure_backoff);
    assert_string_equal(options.message_processors, "");
}

static void environment_gives_options_and_the_command_line_wins(void **state)
{
    setenv("MITE_OPT_SPAWN_RATE", "5", 1);
    setenv("MITE_OPT_NO_COLLECTOR", "1", 1);
    setenv("MITE_OPT_LOG_LEVEL", "debug", 1);
    assert_int_equal(parse("scenario", "test", "a:b", NULL), 0);
    assert_true(options.spawn_rate == 5 && !options.collector);
    assert_string_equal(options.log_level, "debug");
    assert_int_equal(parse("scenario", "test", "a:b", "--spawn-rate=6", NULL), 0);
    assert_true(options.spawn_rate == 6);
    setenv("MITE_OPT_SPAWN_RATE", "fast", 1);
    assert_refused(parse("scenario", "test", "a:b", NULL), "MITE_OPT_SPAWN_RATE=fast");
    unsetenv("MITE_OPT_SPAWN_RATE");
    setenv("MITE_OPT_SPWAN_RATE", "5", 1);
    assert_refused(parse("scenario", "test", "a:b", NULL), "did you mean --spawn-rate?");
    unsetenv("MITE_OPT_SPWAN_RATE");
    unsetenv("MITE_OPT_NO_COLLECTOR");
    unsetenv("MITE_OPT_LOG_LEVEL");
}

static void help_comes_whatever_the_environment_says(void **state)
{
    setenv("MITE_OPT_LOG_LEVEL", "loud", 1);
    assert_refused(parse("scenario", "test", "a:b", NULL), "MITE_OPT_LOG_LEVEL=loud: the levels are DEBUG");
    assert_int_equal(parse("scenario", "test", "--help", NULL), 0);
    assert_int_equal(parse("help", "scenario", "test", NULL), 0);
    assert_int_equal(parse("--version", NULL), 0);
    assert_int_equal(parse("version", NULL), 0);
    unsetenv("MITE_OPT_LOG_LEVEL");
}

/* What a test command gives its journeys is not what a component gives its buffers. */
static void rows_of_one_name_have_defaults_of_their_own(void **state)
{
    assert_int_equal(parse("duplicator", "tcp://127.0.0.1:1", NULL), 0);
    assert_true(options.component_stop_s == 4 && options.graceful_stop_s == 30);
    assert_int_equal(parse("duplicator", "tcp://127.0.0.1:1", "--graceful-stop=2", NULL), 0);
    assert_true(options.component_stop_s == 2);
    assert_int_equal(parse("scenario", "test", "a:b", "--graceful-stop=2", NULL), 0);
    assert_true(options.graceful_stop_s == 2);
    assert_refused(parse("target", "--graceful-stop=2", NULL), "has no option --graceful-stop");
}

static void mistakes_are_named_with_the_nearest_word(void **state)
{
    assert_refused(parse("scenario", "test", "a:b", "--spwan-rate=3", NULL), "--spawn-rate");
    assert_refused(parse("scenario", "tets", "a:b", NULL), "mite scenario test");
    assert_refused(parse("tagret", NULL), "mite target");
    assert_refused(parse("frobnicate", NULL), "mite --help");
    assert_refused(parse(NULL), "mite --help");
    assert_refused(parse("scenario", "test", NULL), "SPEC");
    assert_refused(parse("journey", "run", "a:b", "c:d", "e:f", NULL), "too many arguments");
    assert_refused(parse("target", "--volume=3", NULL), "has no option --volume");
    assert_refused(parse("scenario", "test", "a:b", "-x", NULL), "-x");
}

static void bad_numbers_are_refused(void **state)
{
    assert_refused(parse("scenario", "test", "a:b", "--spawn-rate=ten", NULL), "a number is expected");
    assert_refused(parse("scenario", "test", "a:b", "--spawn-rate=nan", NULL), "a number is expected");
    assert_refused(parse("scenario", "test", "a:b", "--spawn-rate=0", NULL), "more than 0 is expected");
    assert_refused(parse("scenario", "test", "a:b", "--collector-roll=1.5", NULL), "a whole number is expected");
    assert_refused(parse("scenario", "test", "a:b", "--duration=-1", NULL), "at least 0");
    assert_refused(parse("scenario", "test", "a:b", "--failure-backoff=maybe", NULL), "on or off");
    assert_refused(parse("scenario", "test", "a:b", "--duration", NULL), "--duration=SECONDS");
}

static void help_and_version_are_commands(void **state)
{
    assert_int_equal(parse("--help", NULL), 0);
    assert_string_equal(options.command->name, "help");
    assert_int_equal(parse("cat", "--help", NULL), 0);
    assert_string_equal(options.command->name, "help");
    assert_string_equal(options.positional[0], "cat");
    assert_int_equal(parse("--version", NULL), 0);
    assert_string_equal(options.command->name, "version");
}

static void every_option_has_a_group_and_a_line_of_help(void **state)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];

        assert_true(option->group != 0);
        assert_true(option->help || option->group == OPTIONS_COMPONENTS);
        assert_true(!option->help || strlen(option->help) <= 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_contract),
        cmocka_unit_test(options_stand_anywhere_and_take_both_forms),
        cmocka_unit_test(lists_repeat_and_flags_switch_off),
        cmocka_unit_test(environment_gives_options_and_the_command_line_wins),
        cmocka_unit_test(help_comes_whatever_the_environment_says),
        cmocka_unit_test(rows_of_one_name_have_defaults_of_their_own),
        cmocka_unit_test(mistakes_are_named_with_the_nearest_word),
        cmocka_unit_test(bad_numbers_are_refused),
        cmocka_unit_test(help_and_version_are_commands),
        cmocka_unit_test(every_option_has_a_group_and_a_line_of_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
