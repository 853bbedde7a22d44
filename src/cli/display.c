#include "cli/display.h"
#include "base/clock.h"
#include "sinks/text.h"

#include <unistd.h>

#define LIVE_INTERVAL_NS (250 * NS_PER_MS)

/* CPU time of this process per wall time since the last look: 1.0 is one core. */
static double cpu_share(struct display *display)
{
    uint64_t now = clock_now_ns(), cpu = clock_cpu_ns();
    double share = now > display->cpu_at_ns ? (double)(cpu - display->cpu_ns) / (double)(now - display->cpu_at_ns) : -1;

    display->cpu_at_ns = now;
    display->cpu_ns = cpu;
    return share;
}

static struct progress progress_of(struct display *display)
{
    struct progress progress = {.duration_s = display->options.duration_s, .cpu_share = cpu_share(display)};

    display->options.progress(display->options.arg, &progress);
    return progress;
}

static void show(struct timer *timer)
{
    struct display *display = (struct display *)((char *)timer - offsetof(struct display, timer));
    struct progress progress = progress_of(display);

    if (display->live) {
        live_draw(display->live, &progress);
    } else {
        console_print(&display->console, &progress);
    }
}

int display_init(struct display *display, struct loop *loop, struct totals *totals,
                 const struct display_options *options, struct mite_error *error)
{
    *display = (struct display){.options = *options, .totals = totals};

    int rc = timer_init(&display->timer, loop, show);

    if (rc == 0 && options->lines && live_possible(STDERR_FILENO)) {
        struct live_options live = {.fd = STDERR_FILENO, .title = options->title, .colour = text_colour(STDERR_FILENO)};

        rc = live_new(totals, &live, &display->live, error);
    }
    console_init(&display->console, totals, options->journey_logging, !options->lines);
    return rc;
}

void display_start(struct display *display)
{
    uint64_t interval = display->live ? LIVE_INTERVAL_NS : CONSOLE_INTERVAL_NS;

    display->cpu_at_ns = clock_now_ns();
    display->cpu_ns = clock_cpu_ns();
    display->started = true;
    timer_start(&display->timer, interval, interval);
}

void display_pause(struct display *display)
{
    if (display->live) {
        live_hide(display->live);
    }
}

void display_resume(struct display *display)
{
    if (display->live) {
        live_show(display->live);
    }
}

void display_finish(struct display *display)
{
    struct progress progress = progress_of(display);

    timer_close(&display->timer, NULL);
    if (display->live) {
        live_finish(display->live);
    } else if (display->started) {
        console_finish(&display->console, &progress);
    }
}

void display_done(struct display *display)
{
    live_free(display->live);
    display->live = NULL;
}
