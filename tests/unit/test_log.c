/*
 * Log lines. Standard error is a datagram socket here, so that every write comes out as it went in: one line, one
 * write.
 */
#include "failmalloc.h"

#include "base/log.h"

#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
    int real_stderr, reader;
    char line[100000];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    int ends[2], size = 1 << 20;

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    f->real_stderr = dup(STDERR_FILENO);
    f->reader = ends[0];
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    log_flush_repeats();
    log_set_level(LOG_INFO);
    dup2(f->real_stderr, STDERR_FILENO);
    close(f->real_stderr);
    close(f->reader);
    free(f);
    return 0;
}

/* What the next write held, NULL when there was none. */
static const char *next_write(struct fixture *f)
{
    ssize_t n = recv(f->reader, f->line, sizeof f->line - 1, MSG_DONTWAIT);

    if (n < 0) {
        return NULL;
    }
    f->line[n] = '\0';
    return f->line;
}

static void assert_next_matches(struct fixture *f, const char *pattern)
{
    const char *line = next_write(f);
    regex_t regex;

    assert_non_null(line);
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, line, 0, NULL, 0) != 0) {
        fail_msg("\"%.200s\" is not \"%s\"", line, pattern);
    }
    regfree(&regex);
}

#define TIME "^20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3} "

static void one_line_is_one_write(void **state)
{
    log_line(LOG_INFO, "runner %d started", 7);
    assert_next_matches(*state, TIME "INFO runner 7 started\n$");
    log_line(LOG_CRITICAL, "%s", "");
    assert_next_matches(*state, TIME "CRITICAL \n$");
    assert_null(next_write(*state));
}

static void a_terminal_shows_no_time(void **state)
{
    struct fixture *f = *state;
    int socket = dup(STDERR_FILENO), master = posix_openpt(O_RDWR | O_NOCTTY), slave;
    char shown[100];
    ssize_t n;

    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    dup2(slave, STDERR_FILENO);
    log_line(LOG_WARNING, "to a person");
    dup2(socket, STDERR_FILENO);
    n = read(master, shown, sizeof shown - 1);
    assert_true(n > 0);
    shown[n] = '\0';
    assert_string_equal(shown, "WARNING to a person\r\n");
    close(slave);
    close(master);
    close(socket);
    assert_null(next_write(f));
}

static void levels_hold_lines_back(void **state)
{
    log_line(LOG_DEBUG, "not shown");
    assert_false(log_enabled(LOG_DEBUG));
    log_set_level(LOG_ERROR);
    log_line(LOG_WARNING, "not shown");
    log_once(LOG_WARNING, "kind", "not shown");
    assert_true(log_enabled(LOG_CRITICAL));
    assert_null(next_write(*state));
    log_set_level(LOG_DEBUG);
    log_line(LOG_DEBUG, "shown");
    assert_next_matches(*state, "DEBUG shown\n$");
}

static void levels_have_names(void **state)
{
    static const struct {
        const char *name;
        enum log_level level;
    } names[] = {{"DEBUG", LOG_DEBUG}, {"info", LOG_INFO},      {"Warning", LOG_WARNING},  {"warn", LOG_WARNING},
                 {"error", LOG_ERROR}, {"FATAL", LOG_CRITICAL}, {"critical", LOG_CRITICAL}};
    enum log_level level;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_true(log_level_parse(names[i].name, &level));
        assert_int_equal(level, names[i].level);
    }
    level = LOG_ERROR;
    assert_false(log_level_parse("", &level));
    assert_false(log_level_parse("loud", &level));
    assert_int_equal(level, LOG_ERROR);
}

static void long_lines_are_cut(void **state)
{
    struct fixture *f = *state;
    char *text = malloc(100000);
    const char *line;

    memset(text, 'x', 99999);
    text[99999] = '\0';
    log_line(LOG_ERROR, "%.5000s|", text);
    line = next_write(f);
    assert_non_null(line);
    assert_string_equal(strchr(line, '|'), "|\n");

    log_line(LOG_ERROR, "%s", text);
    line = next_write(f);
    assert_int_equal(strlen(line), (64 << 10) - 1);
    assert_string_equal(line + strlen(line) - 5, "x...\n");

    failmalloc_start(0);
    log_line(LOG_ERROR, "%.5000s", text);
    assert_true(failmalloc_stop());
    line = next_write(f);
    assert_true(strlen(line) < 5000);
    assert_string_equal(line + strlen(line) - 5, "x...\n");
    assert_null(next_write(f));
    free(text);
}

static void a_kind_is_said_once_and_counted(void **state)
{
    for (int i = 0; i < 5; i++) {
        log_once(LOG_ERROR, "connection refused", "cannot connect to %d", i);
        log_once(LOG_WARNING, "alone", "said once");
    }
    assert_next_matches(*state, "ERROR cannot connect to 0\n$");
    assert_next_matches(*state, "WARNING said once\n$");
    assert_null(next_write(*state));
    log_flush_repeats();
    assert_next_matches(*state, "ERROR connection refused \\(4 more like it\\)\n$");
    assert_next_matches(*state, "WARNING alone \\(4 more like it\\)\n$");
    log_flush_repeats();
    assert_null(next_write(*state));
    log_once(LOG_ERROR, "connection refused", "again");
    assert_next_matches(*state, "ERROR again\n$");
}

static void kinds_beyond_a_thousand_share_one(void **state)
{
    int lines = 0;

    for (int i = 0; i < 1100; i++) {
        char kind[32];

        snprintf(kind, sizeof kind, "kind %d", i);
        log_once(LOG_ERROR, kind, "%s", kind);
        lines += next_write(*state) != NULL;
    }
    assert_int_equal(lines, 1001);
    log_flush_repeats();
    assert_next_matches(*state, "ERROR further kinds \\(99 more\\)\n$");
    assert_null(next_write(*state));
}

static void without_memory_a_kind_is_still_said(void **state)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        failmalloc_start(n);
        log_once(LOG_ERROR, "kind", "said");
        failed = failmalloc_stop();
        assert_next_matches(*state, "ERROR said\n$");
        log_flush_repeats();
        assert_null(next_write(*state));
    }
}

struct steps {
    struct fixture *fixture;
    int before, after;
};

static void step_aside(void *arg, bool before)
{
    struct steps *steps = arg;

    steps->before += before;
    steps->after += !before;
    assert_true((next_write(steps->fixture) != NULL) == !before);
}

static void the_hook_stands_around_the_line(void **state)
{
    struct steps steps = {.fixture = *state};

    log_set_hook(step_aside, &steps);
    log_line(LOG_INFO, "line");
    log_line(LOG_DEBUG, "not shown");
    log_set_hook(NULL, NULL);
    assert_int_equal(steps.before, 1);
    assert_int_equal(steps.after, 1);
    log_line(LOG_INFO, "line");
    assert_next_matches(*state, "INFO line\n$");
}

static void nobody_listens(void **state)
{
    int socket = dup(STDERR_FILENO);

    close(STDERR_FILENO);
    log_line(LOG_INFO, "unheard");
    dup2(socket, STDERR_FILENO);
    close(socket);
    assert_null(next_write(*state));
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(one_line_is_one_write),
        LOG_TEST(a_terminal_shows_no_time),
        LOG_TEST(levels_hold_lines_back),
        LOG_TEST(levels_have_names),
        LOG_TEST(long_lines_are_cut),
        LOG_TEST(a_kind_is_said_once_and_counted),
        LOG_TEST(kinds_beyond_a_thousand_share_one),
        LOG_TEST(without_memory_a_kind_is_still_said),
        LOG_TEST(the_hook_stands_around_the_line),
        LOG_TEST(nobody_listens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
