/* The fleet, steered by `mite ctl`. */
#include "fake_runners.h"

#define US(n) "mite1:runner-" #n

static void test_control(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {0};
    struct value arguments[2] = {value_text(STR("shop:buy")), value_text(STR("2.5"))};

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", NULL, 4);
    fake_open(&fake, fake_fast);
    fake_join(&fake, &one, US(1));
    fake_report(&fake, &one);
    fake_run_until_started(&fake, &one);
    struct work_request volume = {
        .kind = WORK_CONTROL, .command = STR("volume"), .arguments = arguments, .argument_count = 2};
    fake_tell(&fake, "ctl", &volume);
    fake_report(&fake, &one);
    assert_int_equal(one.entry.target, 10);
    arguments[1] = value_text(STR("-1"));
    fake_tell(&fake, "ctl", &volume);
    assert_non_null(memmem(fake.last.data, fake.last.size, "no factor", 9));
    fake_tell(&fake, "ctl", &(struct work_request){.kind = WORK_CONTROL, .command = STR("pause")});
    fake_report(&fake, &one);
    assert_int_equal(one.entry.target, 0);
    fake_tell(&fake, "ctl", &(struct work_request){.kind = WORK_CONTROL, .command = STR("resume")});
    struct value pair = value_text(STR("host=http://127.0.0.1"));
    fake_tell(&fake, "ctl",
              &(struct work_request){
                  .kind = WORK_CONTROL, .command = STR("config"), .arguments = &pair, .argument_count = 1});
    fake_report(&fake, &one);
    assert_int_equal(one.entry.target, 10);
    assert_int_equal(one.orders.config_count, 1);
    fake_report(&fake, &one);
    assert_int_equal(one.orders.config_count, 0); /* once */
    fake_tell(&fake, "ctl", &(struct work_request){.kind = WORK_CONTROL, .command = STR("status")});
    assert_non_null(memmem(fake.last.data, fake.last.size, "web-7", 5));
    fake_tell(&fake, "ctl", &(struct work_request){.kind = WORK_CONTROL, .command = STR("dance")});
    assert_non_null(memmem(fake.last.data, fake.last.size, "the commands are", 16));
    fake_tell(&fake, "ctl", &(struct work_request){.kind = WORK_CONTROL, .command = STR("stop")});
    assert_true(shares_over(&fake.fleet->shares));
    fake_fleet_done(&fake);
}

static void tell_config(struct fake_fleet *fake, struct str text)
{
    struct value argument = value_text(text);
    struct work_request request = {
        .kind = WORK_CONTROL, .command = STR("config"), .arguments = &argument, .argument_count = 1};

    fake_tell(fake, "ctl", &request);
}

/* What runners would refuse, they are not sent. */
static void test_limits_of_the_configuration(void **state)
{
    char text[WORK_TEXT_MAX + 2];
    struct fake_fleet fake;

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", NULL, 4);
    fake_open(&fake, fake_fast);
    memset(text, 'k', sizeof text);
    text[WORK_TEXT_MAX - 1] = '=';
    tell_config(&fake, (struct str){text, WORK_TEXT_MAX + 1});
    assert_non_null(memmem(fake.last.data, fake.last.size, "are allowed", 11));
    tell_config(&fake, (struct str){text, WORK_TEXT_MAX});
    assert_int_equal(fake.config.entries.live_count, 1);
    for (int i = 1; i < WORK_ENTRIES_MAX + 2; i++) {
        tell_config(&fake, (struct str){text, (size_t)snprintf(text, sizeof text, "k%d=1", i)});
    }
    assert_int_equal(fake.config.entries.live_count, WORK_ENTRIES_MAX);
    assert_non_null(memmem(fake.last.data, fake.last.size, "as many as", 10));
    tell_config(&fake, STR("k7=2"));
    assert_true(str_is(value_str(config_get(&fake.config, STR("k7"))), "2"));
    fake_fleet_done(&fake);
}

static void test_volume_of_a_journey_in_several_entries(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {0};
    struct value arguments[2] = {value_text(STR("shop:buy")), value_text(STR("2"))};
    struct work_request volume = {
        .kind = WORK_CONTROL, .command = STR("volume"), .arguments = arguments, .argument_count = 2};

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", NULL, 4);
    fake_add(&fake, "shop:buy", NULL, 1);
    fake_open(&fake, fake_fast);
    fake_join(&fake, &one, US(1));
    fake_report(&fake, &one);
    fake_run_until_started(&fake, &one);
    fake_tell(&fake, "ctl", &volume);
    assert_non_null(memmem(fake.last.data, fake.last.size, "10 journeys", 11));
    arguments[0] = value_text(STR("2"));
    arguments[1] = value_text(STR("1"));
    fake_tell(&fake, "ctl", &volume);
    assert_int_equal(fake.fleet->shares.entries[0].wanted, 8);
    assert_int_equal(fake.fleet->shares.entries[1].wanted, 1);
    fake_fleet_done(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control),
        cmocka_unit_test(test_limits_of_the_configuration),
        cmocka_unit_test(test_volume_of_a_journey_in_several_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
