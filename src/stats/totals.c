#include "stats/totals.h"

#include "base/clock.h"
#include "base/error.h"
#include "stats/mask.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#define ROOT_TRANSACTION "__root__"

/* A few milliseconds late at worst, which a two-second window does not see, and a quarter of the exact clock's price.
 */
static uint64_t coarse_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t now_ns(const struct totals *totals)
{
    return totals->stop_ns ? totals->stop_ns : totals->clock();
}

static void close_second(struct totals_seconds *seconds)
{
    double requests = (double)seconds->requests, off = requests - seconds->mean;
    seconds->seconds++;
    seconds->mean += off / (double)seconds->seconds;
    seconds->moment += off * (requests - seconds->mean);
    seconds->last = seconds->requests;
    seconds->requests = 0;
    seconds->start_ns += NS_PER_S;
}

static void advance_seconds(struct totals_seconds *seconds, uint64_t now)
{
    while (now >= seconds->start_ns + NS_PER_S) {
        close_second(seconds);
    }
}

void totals_add_to_second(struct totals *totals, uint64_t requests)
{
    advance_seconds(&totals->seconds, now_ns(totals));
    totals->seconds.requests += requests;
}

static uint64_t whole_bytes(double size)
{
    return size > 0 && size < 1e18 ? (uint64_t)size : 0;
}

static void count_request(struct totals *totals, const struct message *message)
{
    const struct message_http *http = &message->http;
    uint64_t latency_ns = ns_from_s(http->total_time);
    bool bad = http->response_code >= 400;
    advance_seconds(&totals->seconds, now_ns(totals));
    totals->seconds.requests++;
    totals->requests++;
    totals->bad_status += bad;
    totals->bytes_received += whole_bytes(http->download_size);
    totals->window.requests++;
    hist_record(&totals->latency, latency_ns);
    hist_record(&totals->wait, ns_from_s(http->wait_time));
    hist_record(&totals->window.latency, latency_ns);

    struct request_group *group = groups_find(&totals->request_groups, message->transaction, http->method, STR_NONE);
    group->count++;
    group->bad_status += bad;
    hist_record(&group->latency, latency_ns);
}

static struct str journey_of(const struct message *message)
{
    return message->origin ? message->origin->journey : STR_NONE;
}

/* `other` stands for many journeys. */
static struct journey_group *journey_group_of(struct totals *totals, struct transaction_group *root, struct str journey)
{
    if (!root->journey || root->key.is_other) {
        root->journey = groups_find(&totals->journey_groups, journey, STR_NONE, STR_NONE);
    }
    return root->journey;
}

static void count_transaction(struct totals *totals, const struct message *message)
{
    const struct message_txn *txn = &message->txn;
    uint64_t duration_ns = txn->duration_ns ? txn->duration_ns : ns_from_s(txn->end_time - txn->start_time);
    struct transaction_group *group =
        groups_find(&totals->transactions, journey_of(message), message->transaction, STR_NONE);
    group->count++;
    group->errors += txn->had_error;
    hist_record(&group->duration, duration_ns);
    if (str_is(message->transaction, ROOT_TRANSACTION)) {
        totals->journeys++;
        totals->failed_journeys += txn->had_error;
        journey_group_of(totals, group, journey_of(message))->ended++;
    }
}

static char *make_example(struct str text)
{
    struct buf masked;
    buf_init(&masked, 0);
    /* Masked before it is cut: half a URL would show what the whole one hides. */
    mask_secrets(&masked, text);
    struct str view = buf_view(&masked);
    char *example = str_copy((struct str){view.p, view.n < TOTALS_EXAMPLE_MAX ? view.n : TOTALS_EXAMPLE_MAX});
    buf_done(&masked);
    return example;
}

static void count_failure(struct totals *totals, const struct message *message, const struct message_failure *failure)
{
    totals->errors++;
    totals->window.errors++;
    struct failure_group *group =
        groups_find(&totals->failures, failure->ex_type, failure->location, message->transaction);
    if (group->count++ == 0 && !group->example && failure->message.p) {
        group->example = make_example(failure->message);
    }
    struct journey_group *journey = groups_find(&totals->journey_groups, journey_of(message), STR_NONE, STR_NONE);
    journey->errors++;
}

/* A message of the user's that calls itself an error is one, whatever its fields look like. */
static void count_other(struct totals *totals, const struct message *message)
{
    static const struct message_failure unknown = {0};
    if (str_is(message->type, "error") || str_is(message->type, "exception")) {
        count_failure(totals, message, &unknown);
    }
}

static void totals_message(struct sink *sink, const struct message *message)
{
    struct totals *totals = (struct totals *)sink;
    switch (message->kind) {
    case MESSAGE_HTTP_METRICS:
        count_request(totals, message);
        break;
    case MESSAGE_TXN:
        count_transaction(totals, message);
        break;
    case MESSAGE_EXCEPTION:
    case MESSAGE_ERROR:
        count_failure(totals, message, &message->failure);
        break;
    case MESSAGE_OTHER:
        count_other(totals, message);
        break;
    default:
        break;
    }
}

/* Embedded in its owner, who calls totals_done(). */
static const struct sink_ops ops = {.name = "totals", .message = totals_message};

static void transaction_group_init(struct group *group)
{
    hist_init(&((struct transaction_group *)group)->duration, 3);
}

static void transaction_group_done(struct group *group)
{
    hist_done(&((struct transaction_group *)group)->duration);
}

static void request_group_init(struct group *group)
{
    hist_init(&((struct request_group *)group)->latency, 3);
}

static void request_group_done(struct group *group)
{
    hist_done(&((struct request_group *)group)->latency);
}

static void failure_group_done(struct group *group)
{
    free(((struct failure_group *)group)->example);
}

int totals_init(struct totals *totals)
{
    *totals = (struct totals){.sink.ops = &ops, .clock = coarse_clock};
    hist_init(&totals->latency, 3);
    hist_init(&totals->wait, 2);
    hist_init(&totals->window.latency, 3);
    if (groups_init(&totals->transactions, GROUPS_MAX, sizeof(struct transaction_group), transaction_group_init,
                    transaction_group_done) != 0 ||
        groups_init(&totals->request_groups, GROUPS_MAX, sizeof(struct request_group), request_group_init,
                    request_group_done) != 0 ||
        groups_init(&totals->failures, GROUPS_MAX, sizeof(struct failure_group), NULL, failure_group_done) != 0 ||
        groups_init(&totals->journey_groups, GROUPS_MAX, sizeof(struct journey_group), NULL, NULL) != 0) {
        totals_done(totals);
        return MITE_ENOMEM;
    }
    totals_start(totals);
    return 0;
}

void totals_done(struct totals *totals)
{
    hist_done(&totals->latency);
    hist_done(&totals->wait);
    hist_done(&totals->window.latency);
    groups_done(&totals->transactions);
    groups_done(&totals->request_groups);
    groups_done(&totals->failures);
    groups_done(&totals->journey_groups);
}

void totals_start(struct totals *totals)
{
    totals->stop_ns = 0;
    totals->start_ns = totals->clock();
    totals->window.start_ns = totals->start_ns;
    totals->seconds.start_ns = totals->start_ns;
}

void totals_take_over(struct totals *totals, uint64_t start_ns)
{
    totals->start_ns = start_ns;
    totals_next_window(totals);
    totals->seconds.requests = 0;
}

void totals_stop(struct totals *totals)
{
    if (totals->stop_ns == 0) {
        totals->stop_ns = totals->clock();
    }
}

uint64_t totals_elapsed_ns(const struct totals *totals)
{
    return now_ns(totals) - totals->start_ns;
}

uint64_t totals_window_ns(const struct totals *totals)
{
    return now_ns(totals) - totals->window.start_ns;
}

void totals_next_window(struct totals *totals)
{
    totals->window.start_ns = now_ns(totals);
    totals->window.requests = totals->window.errors = 0;
    hist_clear(&totals->window.latency);
}

void totals_request_rate(struct totals *totals, double *mean, double *deviation)
{
    struct totals_seconds *seconds = &totals->seconds;
    advance_seconds(seconds, now_ns(totals));
    if (seconds->seconds > 0) {
        *mean = seconds->mean;
        *deviation = sqrt(seconds->moment / (double)seconds->seconds);
        return;
    }
    uint64_t elapsed = totals_elapsed_ns(totals);
    *mean = elapsed ? (double)totals->requests / ns_to_s(elapsed) : 0;
    *deviation = 0;
}
