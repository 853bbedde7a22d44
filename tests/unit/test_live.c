/* The live display on a pseudo terminal: what a terminal that obeys its sequences would show. */
#include "scratch.h"
#include "stats_messages.h"

#include "base/clock.h"
#include "base/log.h"
#include "sinks/live.h"
#include "sinks/text.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <termios.h>

#define ROWS    60
#define COLUMNS 240

/* The smallest terminal that our output needs: newline, return, cursor up, erase; colours are dropped. */
struct screen {
    char cell[ROWS][COLUMNS * 4]; /* a row's text; multi-byte characters stay whole */
    size_t row, rows;
};

static uint64_t fake_now;

static uint64_t fake_clock(void)
{
    return fake_now;
}

struct fixture {
    struct totals totals;
    struct live *live;
    struct progress progress;
    struct screen screen;
    struct buf output;
    int terminal, display, stderr_was;
};

static void set_columns(struct fixture *f, unsigned short columns)
{
    struct winsize size = {.ws_row = 24, .ws_col = columns};
    assert_int_equal(ioctl(f->display, TIOCSWINSZ, &size), 0);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct termios raw;
    assert_int_equal(openpty(&f->terminal, &f->display, NULL, NULL, NULL), 0);
    assert_int_equal(tcgetattr(f->display, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(f->display, TCSANOW, &raw), 0);
    assert_int_equal(fcntl(f->terminal, F_SETFL, O_NONBLOCK), 0);
    set_columns(f, 80);
    assert_int_equal(totals_init(&f->totals), 0);
    f->totals.clock = fake_clock;
    totals_start(&f->totals);
    buf_init(&f->output, 0);
    f->progress = (struct progress){
        .wanted = 100, .running = 97, .started = 500, .elapsed_ns = 6 * NS_PER_S, .duration_s = 10, .cpu_share = 0.42};
    f->stderr_was = dup(STDERR_FILENO);
    dup2(f->display, STDERR_FILENO);
    struct live_options options = {.fd = f->display, .title = "shop:scenario"};
    *state = f;
    return live_new(&f->totals, &options, &f->live, NULL);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    live_free(f->live);
    dup2(f->stderr_was, STDERR_FILENO);
    close(f->stderr_was);
    close(f->terminal);
    close(f->display);
    totals_done(&f->totals);
    buf_done(&f->output);
    free(f);
    return 0;
}

/* Takes what was written since the last call. */
static const char *output(struct fixture *f)
{
    char chunk[4096];
    ssize_t n;
    buf_clear(&f->output);
    while ((n = read(f->terminal, chunk, sizeof chunk)) > 0) {
        buf_append(&f->output, chunk, (size_t)n);
    }
    return buf_view(&f->output).p;
}

static void erase_below(struct screen *screen)
{
    for (size_t row = screen->row; row < screen->rows; row++) {
        screen->cell[row][0] = '\0';
    }
    screen->rows = screen->row;
}

static const char *control(struct screen *screen, const char *p)
{
    size_t number = strtoul(p + 2, NULL, 10), length = strcspn(p + 2, "AJKmhl");
    if (p[2 + length] == 'A') {
        assert_true(number <= screen->row);
        screen->row -= number;
    } else if (p[2 + length] == 'J') {
        erase_below(screen);
    }
    return p + 3 + length;
}

/* Whole lines are enough: our output never goes back into one. */
static void feed(struct screen *screen, const char *p)
{
    char line[COLUMNS * 4] = "";
    size_t length = 0;
    while (*p) {
        if (*p == '\033') {
            p = control(screen, p);
        } else if (*p == '\n') {
            line[length] = '\0';
            strcpy(screen->cell[screen->row++], line);
            screen->rows = screen->row > screen->rows ? screen->row : screen->rows;
            length = 0;
            p++;
        } else if (*p == '\r') {
            p++;
        } else {
            line[length++] = *p++;
        }
    }
    assert_int_equal(length, 0);
}

static void update(struct fixture *f)
{
    feed(&f->screen, output(f));
}

static void draw(struct fixture *f)
{
    live_draw(f->live, &f->progress);
    update(f);
}

static void assert_row(struct fixture *f, size_t row, const char *part)
{
    if (!strstr(f->screen.cell[row], part)) {
        fail_msg("row %zu is \"%s\", without \"%s\"", row, f->screen.cell[row], part);
    }
}

static void test_block(void **state)
{
    struct fixture *f = *state;
    send_request(&f->totals.sink, NULL, "GET", 200, 0.001);
    send_request(&f->totals.sink, NULL, "GET", 503, 0.001);
    send_failure(&f->totals.sink, MESSAGE_ERROR, "MiteError", "a.py:1:f", "x");
    send_txn(&f->totals.sink, "__root__", true, 1000);
    fake_now += NS_PER_S;
    draw(f);
    assert_int_equal(f->screen.rows, 6);
    assert_row(f, 0, "shop:scenario");
    assert_row(f, 0, "00:06 of 00:10");
    assert_row(f, 1, "60 %");
    assert_row(f, 2, "97 of 100 wanted   1 journey ended   1 failed");
    assert_row(f, 3, "2.00/s   2 in all   1 error   1 4xx/5xx");
    assert_row(f, 4, "p50 1.00 ms   p95 1.00 ms   p99 1.00 ms");
    assert_row(f, 5, "42 % of a core");
}

static void test_redraws_in_place(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++) {
        draw(f);
        assert_int_equal(f->screen.rows, 6);
        assert_int_equal(f->screen.row, 6);
    }
    /* Without colours there are none. */
    live_draw(f->live, &f->progress);
    assert_null(strstr(output(f), "m"
                                  "\033[0m"));
}

static void test_without_known_end(void **state)
{
    struct fixture *f = *state;
    f->progress.duration_s = -1;
    f->progress.note = "stopping";
    draw(f);
    assert_int_equal(f->screen.rows, 5);
    assert_row(f, 0, "00:06");
    assert_row(f, 4, "stopping");
}

static void test_no_line_is_wider_than_the_terminal(void **state)
{
    struct fixture *f = *state;
    for (unsigned short columns = 21; columns < 130; columns += 7) {
        set_columns(f, columns);
        memset(&f->screen, 0, sizeof f->screen);
        live_hide(f->live);
        live_show(f->live);
        output(f);
        draw(f);
        for (size_t row = 0; row < f->screen.rows; row++) {
            assert_true(text_width(str_of(f->screen.cell[row])) < columns);
        }
    }
}

static void test_log_lines_go_above(void **state)
{
    struct fixture *f = *state;
    draw(f);
    log_line(LOG_WARNING, "something happened");
    update(f);
    assert_int_equal(f->screen.rows, 7);
    assert_string_equal(f->screen.cell[0], "WARNING something happened");
    assert_row(f, 1, "shop:scenario");
    draw(f);
    assert_int_equal(f->screen.rows, 7);
}

static void test_hidden_for_a_debugger(void **state)
{
    struct fixture *f = *state;
    draw(f);
    live_hide(f->live);
    update(f);
    assert_int_equal(f->screen.rows, 0);
    live_draw(f->live, &f->progress);
    log_line(LOG_INFO, "meanwhile");
    assert_string_equal(output(f), "INFO meanwhile\n");
    live_show(f->live);
    draw(f);
    assert_int_equal(f->screen.rows, 6);
}

static void test_finish_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    live_draw(f->live, &f->progress);
    const char *text = output(f);
    /* Each write that hides the cursor brings it back. */
    assert_non_null(strstr(text, "\033[?25l"));
    assert_string_equal(text + strlen(text) - 6, "\033[?25h");
    feed(&f->screen, text);
    live_finish(f->live);
    update(f);
    assert_int_equal(f->screen.rows, 0);
    log_line(LOG_INFO, "later");
    assert_string_equal(output(f), "INFO later\n");
}

static void test_recent_figures(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 200; i++) {
        send_request(&f->totals.sink, NULL, "GET", 200, 0.001);
    }
    fake_now += 2 * NS_PER_S;
    draw(f);
    assert_row(f, 3, "100/s");
    send_request(&f->totals.sink, NULL, "GET", 200, 0.5);
    fake_now += NS_PER_S;
    draw(f);
    assert_row(f, 3, "100/s"); /* until the next window is whole */
    fake_now += NS_PER_S;
    draw(f);
    assert_row(f, 3, "0.50/s");
    assert_row(f, 4, "p50 500 ms");
    fake_now += 2 * NS_PER_S;
    draw(f);
    assert_row(f, 4, "no response in the last 2 s");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_block),
        TEST(test_redraws_in_place),
        TEST(test_without_known_end),
        TEST(test_no_line_is_wider_than_the_terminal),
        TEST(test_log_lines_go_above),
        TEST(test_hidden_for_a_debugger),
        TEST(test_finish_leaves_nothing_behind),
        TEST(test_recent_figures),
    };
    return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
