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
    char cell[ROWS][COLUMNS][5]; /* one character each */
    size_t row, column;
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

static void set_size(struct fixture *f, unsigned short columns, unsigned short rows)
{
    struct winsize size = {.ws_row = rows, .ws_col = columns};
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
    set_size(f, 80, 24);
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

static void erase_line(struct screen *screen, size_t row, size_t column)
{
    for (; column < COLUMNS; column++) {
        screen->cell[row][column][0] = '\0';
    }
}

static const char *control(struct screen *screen, const char *p)
{
    size_t number = strtoul(p + 2, NULL, 10), length = strcspn(p + 2, "AJKmhl");
    switch (p[2 + length]) {
    case 'A':
        assert_true(number <= screen->row);
        screen->row -= number;
        break;
    case 'J':
        for (size_t row = screen->row + 1; row < ROWS; row++) {
            erase_line(screen, row, 0);
        }
        erase_line(screen, screen->row, screen->column);
        break;
    case 'K':
        erase_line(screen, screen->row, screen->column);
        break;
    }
    return p + 3 + length;
}

static void feed(struct screen *screen, const char *p)
{
    while (*p) {
        assert_true(screen->row < ROWS && screen->column < COLUMNS);
        if (*p == '\033') {
            p = control(screen, p);
        } else if (*p == '\n') { /* the terminal driver adds the return */
            screen->row++;
            screen->column = 0;
            p++;
        } else if (*p == '\r') {
            screen->column = 0;
            p++;
        } else {
            size_t n = str_utf8_length(str_of(p));
            snprintf(screen->cell[screen->row][screen->column++], 5, "%.*s", (int)n, p);
            p += n;
        }
    }
}

/* The text of a row, "" for one below the last. */
static const char *row_text(struct screen *screen, size_t row)
{
    static char text[COLUMNS * 4 + 1];
    text[0] = '\0';
    for (size_t column = 0; column < COLUMNS; column++) {
        strcat(text, screen->cell[row][column]);
    }
    return text;
}

static size_t rows_used(struct screen *screen)
{
    size_t rows = ROWS;
    while (rows > 0 && !*row_text(screen, rows - 1)) {
        rows--;
    }
    return rows;
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
    const char *text = row_text(&f->screen, row);
    if (!strstr(text, part)) {
        fail_msg("row %zu is \"%s\", without \"%s\"", row, text, part);
    }
}

/* The whole block from a row on: an empty row, then six. */
static void assert_block_at(struct fixture *f, size_t row)
{
    assert_string_equal(row_text(&f->screen, row), "");
    assert_row(f, row + 1, "shop:scenario");
    assert_int_equal(rows_used(&f->screen), row + 7);
    assert_int_equal(f->screen.row, row);
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
    assert_block_at(f, 0);
    assert_row(f, 1, "00:06 of 00:10");
    assert_row(f, 2, "60 %");
    assert_row(f, 3, "97 of 100 wanted   1 journey ended   1 failed");
    assert_row(f, 4, "2.00/s   2 in all   1 error   1 4xx/5xx");
    assert_row(f, 5, "p50 1.00 ms   p95 1.00 ms   p99 1.00 ms");
    assert_row(f, 6, "42 % of a core");
}

static void test_redraws_in_place(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++) {
        draw(f);
        assert_block_at(f, 0);
    }
    live_draw(f->live, &f->progress);
    assert_null(strstr(output(f), "\033[0m")); /* no colours when none are wanted */
}

static void test_without_known_end(void **state)
{
    struct fixture *f = *state;
    f->progress.duration_s = -1;
    f->progress.note = "stopping";
    draw(f);
    assert_int_equal(rows_used(&f->screen), 6);
    assert_row(f, 1, "00:06");
    assert_row(f, 5, "stopping");
}

static void test_stays_within_the_terminal(void **state)
{
    struct fixture *f = *state;
    for (unsigned short columns = 21; columns < 130; columns += 7) {
        set_size(f, columns, 24);
        draw(f);
        assert_int_equal(rows_used(&f->screen), 7);
        for (size_t row = 0; row < ROWS; row++) {
            assert_true(text_width(str_of(row_text(&f->screen, row))) < columns);
        }
        for (size_t row = 3; row <= 5; row++) { /* a figure is whole or not there */
            assert_null(strstr(row_text(&f->screen, row), "…"));
        }
    }
    set_size(f, 80, 4);
    draw(f);
    assert_int_equal(rows_used(&f->screen), 3);
}

static void test_log_lines_go_above(void **state)
{
    struct fixture *f = *state;
    draw(f);
    log_line(LOG_WARNING, "something happened");
    update(f);
    assert_string_equal(row_text(&f->screen, 0), "WARNING something happened");
    assert_block_at(f, 1);
    draw(f);
    assert_block_at(f, 1);
}

static void test_what_others_print_stays(void **state)
{
    struct fixture *f = *state;
    draw(f);
    feed(&f->screen, "printed by a journey\n");
    draw(f);
    assert_string_equal(row_text(&f->screen, 0), "printed by a journey");
    assert_block_at(f, 1);
}

static void test_hidden_for_a_debugger(void **state)
{
    struct fixture *f = *state;
    draw(f);
    live_hide(f->live);
    update(f);
    assert_int_equal(rows_used(&f->screen), 0);
    live_draw(f->live, &f->progress);
    log_line(LOG_INFO, "meanwhile");
    assert_string_equal(output(f), "INFO meanwhile\n");
    live_show(f->live);
    draw(f);
    assert_block_at(f, 0);
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
    assert_int_equal(rows_used(&f->screen), 0);
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
    assert_row(f, 4, "100/s");
    send_request(&f->totals.sink, NULL, "GET", 200, 0.5);
    fake_now += NS_PER_S;
    draw(f);
    assert_row(f, 4, "100/s"); /* until the next window is whole */
    fake_now += NS_PER_S;
    draw(f);
    assert_row(f, 4, "0.50/s");
    assert_row(f, 5, "p50 500 ms");
    fake_now += 2 * NS_PER_S;
    draw(f);
    assert_row(f, 5, "no response in the last 2 s");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_block),
        TEST(test_redraws_in_place),
        TEST(test_without_known_end),
        TEST(test_stays_within_the_terminal),
        TEST(test_log_lines_go_above),
        TEST(test_what_others_print_stays),
        TEST(test_hidden_for_a_debugger),
        TEST(test_finish_leaves_nothing_behind),
        TEST(test_recent_figures),
    };
    return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
