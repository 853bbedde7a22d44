/*
 * Design notes. After a frame the cursor goes back up to its first row, which is empty. So whatever a journey prints by
 * itself (print, a library's logging) starts on that row and pushes the next frame down, instead of being overwritten
 * by it; and since a frame is drawn from the cursor on and clears what is below it, a resized terminal needs no care.
 * No line fills the last column and no frame the last row, so that nothing wraps or scrolls by itself.
 */
#include "sinks/live.h"

#include "base/clock.h"
#include "base/log.h"
#include "sinks/files.h"
#include "sinks/text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ERASE       "\r\033[J"
#define WINDOW_NS   (2 * NS_PER_S)
#define COLUMNS_MAX 100
#define COLUMNS_MIN 20

struct live {
    struct totals *totals;
    int fd;
    bool colour;
    char *title; /* owned */
    bool hidden; /* somebody else has the terminal */
    bool drawn;  /* the block is on the screen */
    struct sigaction suspend_was;
    bool suspends; /* SIGTSTP is ours */
    struct buf frame, output;
    size_t line_count, line_max;
    size_t line_start;     /* of the line that is being made, in the frame */
    size_t room;           /* columns left in it */
    bool have_recent;      /* a whole window has been seen */
    double recent_rate;    /* of that window */
    uint64_t recent_at[3]; /* its p50, p95, p99 */
    uint64_t recent_requests;
};

bool live_possible(int fd)
{
    return text_terminal(fd);
}

/* Appends as much of `text` as the line has room for. */
static void put_some(struct live *live, enum colour colour, const char *text)
{
    struct str s = str_of(text);
    size_t width = text_width(s);
    if (width > live->room) {
        width = live->room;
    }
    if (width == 0) {
        return;
    }
    buf_text(&live->frame, colour == COLOUR_NONE ? "" : colour_code(live->colour, colour));
    text_fit(&live->frame, s, width, false);
    buf_text(&live->frame, colour == COLOUR_NONE ? "" : colour_code(live->colour, COLOUR_NONE));
    live->room -= width;
}

/* All of `text`, or nothing from here on: half a figure is another figure. */
static void put(struct live *live, enum colour colour, const char *text)
{
    if (text_width(str_of(text)) <= live->room) {
        put_some(live, colour, text);
    } else {
        live->room = 0;
    }
}

static void putf(struct live *live, enum colour colour, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void putf(struct live *live, enum colour colour, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(live, colour, text);
}

static void begin_line(struct live *live, size_t columns, const char *label)
{
    live->room = columns;
    live->line_start = live->frame.size;
    if (label) {
        putf(live, COLOUR_DIM, "  %-12s", label);
    }
}

/* Keeps the line, unless the terminal is too low for it. */
static void end_line(struct live *live)
{
    if (live->line_count == live->line_max) {
        live->frame.size = live->line_start;
        return;
    }
    buf_text(&live->frame, "\033[K\n");
    live->line_count++;
}

static void title_line(struct live *live, const struct progress *progress, size_t columns)
{
    char when[128];
    struct text elapsed = text_clock(progress->elapsed_ns);
    if (progress->duration_s > 0) {
        snprintf(when, sizeof when, "  %s of %s", elapsed.s, text_clock((uint64_t)progress->duration_s * NS_PER_S).s);
    } else {
        snprintf(when, sizeof when, "  %s", elapsed.s);
    }
    begin_line(live, columns, NULL);
    struct str title = str_of(live->title);
    size_t room = columns > strlen(when) + 2 ? columns - strlen(when) : 2;
    buf_text(&live->frame, colour_code(live->colour, COLOUR_BOLD));
    text_fit(&live->frame, title, room, false);
    buf_text(&live->frame, colour_code(live->colour, COLOUR_NONE));
    live->room -= room;
    put(live, COLOUR_NONE, when);
    end_line(live);
}

static void bar_line(struct live *live, const struct progress *progress, size_t columns)
{
    double share = ns_to_s(progress->elapsed_ns) / (double)progress->duration_s;
    share = share > 1 ? 1 : share;
    size_t cells = columns > 8 ? columns - 8 : 1, done = (size_t)(share * (double)cells);
    begin_line(live, columns, NULL);
    put(live, COLOUR_NONE, "  ");
    buf_text(&live->frame, colour_code(live->colour, COLOUR_GOOD));
    for (size_t i = 0; i < cells; i++) {
        if (i == done) {
            buf_text(&live->frame, colour_code(live->colour, COLOUR_NONE));
            buf_text(&live->frame, colour_code(live->colour, COLOUR_DIM));
        }
        buf_text(&live->frame, i < done ? "━" : "─");
    }
    buf_text(&live->frame, colour_code(live->colour, COLOUR_NONE));
    live->room -= cells < live->room ? cells : live->room;
    putf(live, COLOUR_NONE, " %3d %%", (int)(share * 100));
    end_line(live);
}

static void user_line(struct live *live, const struct progress *progress, size_t columns)
{
    const struct totals *totals = live->totals;
    begin_line(live, columns, "users");
    putf(live, COLOUR_NONE, "%s of %s wanted", text_count((uint64_t)progress->running).s,
         text_count((uint64_t)progress->wanted).s);
    putf(live, COLOUR_NONE, "   %s ended", text_counted(totals->journeys, "journey").s);
    if (totals->failed_journeys > 0) {
        putf(live, COLOUR_BAD, "   %s failed", text_count(totals->failed_journeys).s);
    }
    end_line(live);
}

static void request_line(struct live *live, size_t columns)
{
    const struct totals *totals = live->totals;
    begin_line(live, columns, "requests");
    putf(live, COLOUR_BOLD, "%s", text_rate(live->recent_rate).s);
    putf(live, COLOUR_NONE, "   %s in all", text_count(totals->requests).s);
    putf(live, totals->errors ? COLOUR_BAD : COLOUR_GOOD, "   %s", text_counted(totals->errors, "error").s);
    putf(live, totals->bad_status ? COLOUR_WARN : COLOUR_NONE, "   %s 4xx/5xx", text_count(totals->bad_status).s);
    end_line(live);
}

static void latency_line(struct live *live, size_t columns)
{
    begin_line(live, columns, "latency");
    if (live->recent_requests == 0) {
        put(live, COLOUR_DIM, "no response in the last 2 s");
    } else {
        putf(live, COLOUR_NONE, "p50 %s", text_duration(live->recent_at[0]).s);
        putf(live, COLOUR_NONE, "   p95 %s", text_duration(live->recent_at[1]).s);
        putf(live, COLOUR_NONE, "   p99 %s", text_duration(live->recent_at[2]).s);
    }
    end_line(live);
}

static void generator_line(struct live *live, const struct progress *progress, size_t columns)
{
    begin_line(live, columns, "generator");
    if (progress->cpu_share >= 0) {
        putf(live, progress->cpu_share >= 0.9 ? COLOUR_WARN : COLOUR_NONE, "%.0f %% of a core",
             progress->cpu_share * 100);
    }
    if (progress->note) {
        put(live, COLOUR_NONE, progress->cpu_share >= 0 ? "   " : "");
        put_some(live, COLOUR_BOLD, progress->note);
    }
    end_line(live);
}

/* What is shown as current: the last whole window, in the first two seconds what there is of it. */
static void look_at_window(struct live *live)
{
    static const double percents[] = {50, 95, 99};
    uint64_t length_ns = totals_window_ns(live->totals);
    const struct totals_window *window = &live->totals->window;
    if (length_ns < WINDOW_NS && live->have_recent) {
        return;
    }
    live->recent_rate = length_ns ? (double)window->requests / ns_to_s(length_ns) : 0;
    live->recent_requests = window->requests;
    hist_percentiles(&window->latency, percents, 3, live->recent_at);
    if (length_ns >= WINDOW_NS) {
        live->have_recent = true;
        totals_next_window(live->totals);
    }
}

static struct winsize terminal_size(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
        size = (struct winsize){.ws_col = 80, .ws_row = 24};
    }
    return size;
}

static void make_frame(struct live *live, const struct progress *progress)
{
    struct winsize size = terminal_size(live->fd);
    size_t columns = size.ws_col > COLUMNS_MAX   ? COLUMNS_MAX
                     : size.ws_col < COLUMNS_MIN ? COLUMNS_MIN
                                                 : size.ws_col - 1u;
    buf_clear(&live->frame);
    live->line_count = 0;
    live->line_max = size.ws_row > 1 ? size.ws_row - 1u : 1;
    begin_line(live, columns, NULL);
    end_line(live);
    title_line(live, progress, columns);
    if (progress->duration_s > 0) {
        bar_line(live, progress, columns);
    }
    user_line(live, progress, columns);
    request_line(live, columns);
    latency_line(live, columns);
    generator_line(live, progress, columns);
}

static void write_output(struct live *live)
{
    if (!live->output.failed) {
        file_write_all(live->fd, live->output.data, live->output.size);
    }
    buf_clear(&live->output);
}

/* ---- Ctrl-Z ---- */

static volatile sig_atomic_t block_fd = -1; /* the terminal with a block on it; there is one display a process */

/* The block goes, or the shell would write across it; the first frame after `fg` brings it back. */
static void on_suspend(int number)
{
    int saved_errno = errno;
    struct sigaction stop = {.sa_handler = SIG_DFL}, ours;

    if (block_fd >= 0 && write(block_fd, ERASE, sizeof ERASE - 1) < 0) {
        /* A terminal that is gone needs no care. */
    }
    sigaction(number, &stop, &ours);
    raise(number); /* comes back when the run goes on */
    sigaction(number, &ours, NULL);
    errno = saved_errno;
}

static void watch_suspend(struct live *live)
{
    struct sigaction ours = {.sa_handler = on_suspend, .sa_flags = SA_RESTART | SA_ONSTACK | SA_NODEFER};

    if (sigaction(SIGTSTP, NULL, &live->suspend_was) == 0 && live->suspend_was.sa_handler == SIG_DFL) {
        live->suspends = sigaction(SIGTSTP, &ours, NULL) == 0;
    }
}

static void unwatch_suspend(struct live *live)
{
    if (live->suspends) {
        sigaction(SIGTSTP, &live->suspend_was, NULL);
        live->suspends = false;
    }
}

/* ---- the block on the screen ---- */

static void set_drawn(struct live *live, bool drawn)
{
    live->drawn = drawn;
    block_fd = drawn ? live->fd : -1;
}

static void erase(struct live *live)
{
    if (live->drawn) {
        buf_text(&live->output, ERASE);
        write_output(live);
        set_drawn(live, false);
    }
}

/* Writes the frame, over the old one where that is still there. */
static void write_frame(struct live *live)
{
    if (live->frame.failed || live->hidden) {
        return;
    }
    buf_text(&live->output, "\033[?25l\r");
    buf_str(&live->output, buf_view(&live->frame));
    buf_printf(&live->output, "\033[J\033[%zuA\033[?25h", live->line_count);
    write_output(live);
    set_drawn(live, true);
}

/* Log lines go where the block was, and the block below them. */
static void step_aside(void *arg, bool before)
{
    struct live *live = arg;
    if (before) {
        erase(live);
    } else if (live->line_count > 0) {
        write_frame(live);
    }
}

void live_draw(struct live *live, const struct progress *progress)
{
    look_at_window(live);
    if (!live->hidden) {
        make_frame(live, progress);
        write_frame(live);
    }
}

void live_hide(struct live *live)
{
    erase(live);
    live->hidden = true;
}

void live_show(struct live *live)
{
    live->hidden = false;
}

void live_finish(struct live *live)
{
    live_hide(live);
    unwatch_suspend(live);
    log_set_hook(NULL, NULL);
}

int live_new(struct totals *totals, const struct live_options *options, struct live **out, struct mite_error *error)
{
    struct live *live = calloc(1, sizeof *live);
    char *title = str_copy(str_of(options->title ? options->title : ""));
    if (!live || !title) {
        free(live);
        free(title);
        return error_set(error, MITE_ENOMEM, "out of memory");
    }
    *live = (struct live){.totals = totals, .fd = options->fd, .colour = options->colour, .title = title};
    buf_init(&live->frame, 0);
    buf_init(&live->output, 0);
    log_set_hook(step_aside, live);
    watch_suspend(live);
    *out = live;
    return 0;
}

void live_free(struct live *live)
{
    if (!live) {
        return;
    }
    live_finish(live);
    buf_done(&live->frame);
    buf_done(&live->output);
    free(live->title);
    free(live);
}
