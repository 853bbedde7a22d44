#include "base/log.h"
#include "cli/run.h"
#include "sinks/report.h"
#include "sinks/summary.h"
#include "sinks/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Leftover journeys end with the detaching, while runner and context are still there to hear of it. */
static void end_engine(struct run *run)
{
    struct mite_error error = {0};

    if (run->controller) {
        controller_count(run->controller, &run->counts);
    }
    if (run->runner) {
        runner_cancel_all(run->runner);
        runner_count(run->runner, &run->runner_counts);
    }
    hosts_detach(&run->hosts, run->loop);
    hosts_http_counts(&run->hosts, &run->http_counts);
    if (run->display_made && !run->loading) {
        display_finish(&run->display);
    }
    runner_free(run->runner);
    controller_free(run->controller);
    if (run->loop && loop_free(run->loop, &error) < 0) {
        log_line(LOG_DEBUG, "%s", error.text);
        error_done(&error);
    }
    if (run->display_made) {
        display_done(&run->display);
    }
}

/* Items that never came back, of all pools; one may serve several journeys. */
static uint64_t count_lost(const struct scenario *scenario)
{
    uint64_t lost = 0;

    for (size_t i = 0; i < scenario->count; i++) {
        const struct datapool *pool = scenario->entries[i].pool;
        size_t first = 0;

        while (scenario->entries[first].pool != pool) {
            first++;
        }
        lost += pool && first == i ? pool->lost : 0;
    }
    return lost;
}

void run_print_results(struct run *run, size_t *crossed)
{
    char backoff[160], lost[80], transports[160];
    const char *notes[3];
    struct buf text;
    struct summary summary = {
        .totals = &run->totals,
        .thresholds = &run->thresholds,
        .collector = run->collector,
        .recorder = run->recorder,
        .aborted = run->http_counts.aborted,
        .notes = notes,
        .title = run->scenario.name,
        .width = text_columns(STDOUT_FILENO, 80),
        .colour = text_colour(STDOUT_FILENO),
    };

    if (run->counts.backed_off > 0) {
        snprintf(backoff, sizeof(backoff),
                 "%lld journeys failed at once and were replaced no faster than 1,000 a second "
                 "(--failure-backoff=off for full speed)",
                 (long long)run->counts.backed_off);
        notes[summary.note_count++] = backoff;
    }
    if (count_lost(&run->scenario) > 0) {
        snprintf(lost, sizeof(lost), "datapool items lost, for their checkin failed: %llu",
                 (unsigned long long)count_lost(&run->scenario));
        notes[summary.note_count++] = lost;
    }
    if (run->http_counts.responses > run->http_counts.native) { /* worth a line: it costs more */
        const struct http_counts *http = &run->http_counts;
        snprintf(transports, sizeof(transports), "%s over the native transport, %s over libcurl",
                 text_counted(http->native, "response").s, text_counted(http->responses - http->native, "response").s);
        notes[summary.note_count++] = transports;
    }
    buf_init(&text, 0);
    if (run->options->report) {
        report_write(&text, &run->totals, &run->thresholds, summary.colour);
    }
    *crossed = summary_write(&text, &summary);
    bool written = fwrite(text.data, 1, text.size, stdout) == text.size && fflush(stdout) == 0;
    if (!written && errno != EPIPE) { /* `| head` has what it wanted */
        fprintf(stderr, "mite: cannot write the summary: %s\n", strerror(errno));
        run->status = EXIT_BROKE;
    }
    buf_done(&text);
}

static int exit_status(const struct run *run, size_t crossed)
{
    if (run->status) {
        return run->status;
    }
    if (run->signal) {
        return EXIT_SIGNALLED;
    }
    return crossed || run->debugged || count_lost(&run->scenario) > 0 ? EXIT_FAILED : EXIT_GOOD;
}

int run_close(struct run *run)
{
    struct mite_error error = {0};
    size_t crossed = 0;
    int status;

    end_engine(run);
    log_flush_repeats();
    if (run->collector && run->loading) {
        collector_close(run->collector);
    } else if (run->collector) {
        collector_discard(run->collector);
    }
    if (run->loading && run->status != EXIT_USAGE) {
        run_print_results(run, &crossed);
    }
    run_forget_crashes();
    status = exit_status(run, crossed);
    if (webhook_end(&run->webhook, &error) < 0) {
        run_complain(&error);
        error_done(&error);
    }
    processors_free(&run->processors);
    if (run->collector) {
        sink_free(collector_sink(run->collector));
    }
    if (run->recorder) {
        sink_free(recorder_sink(run->recorder));
    }
    scenario_done(&run->scenario);
    hosts_close(&run->hosts);
    config_done(&run->config);
    totals_done(&run->totals);
    return status;
}
