/*
 * What `mite stats` counts by itself: the processors "mite" (errors, transactions, the controller's reports, dropped
 * messages), "mite_http" (responses, their time) and the optional "mite_dns".
 *
 * Life cycle: event_stats_init, event_stats_take for each message, event_stats_dump now and then, event_stats_done. It
 * stays where it is.
 */
#pragma once

#include "base/buf.h"
#include "stats/metric.h"

#define EVENT_STATS_METRICS 9

enum event_processor {
    EVENT_PROCESSOR_MITE = 1 << 0,
    EVENT_PROCESSOR_HTTP = 1 << 1,
    EVENT_PROCESSOR_DNS = 1 << 2,
};

#define EVENT_PROCESSORS_USUAL (EVENT_PROCESSOR_MITE | EVENT_PROCESSOR_HTTP)
#define EVENT_PROCESSORS       3
extern const char *const event_processor_names[EVENT_PROCESSORS]; /* in the order of the bits */

struct event_stats {
    struct metric metrics[EVENT_STATS_METRICS]; /* those that are chosen */
    unsigned char definitions[EVENT_STATS_METRICS];
    size_t count;
    bool left; /* the last dump had no room for all */
    struct buf key;
};

/* `processors`: bits of enum event_processor. Buckets come from MITE_HTTP_HISTOGRAM_BUCKETS and
 * MITE_DNS_HISTOGRAM_BUCKETS. MITE_EINVAL: they are malformed; MITE_ENOMEM. */
int event_stats_init(struct event_stats *stats, unsigned processors, size_t max_series, struct mite_error *error);
void event_stats_done(struct event_stats *stats); /* copes with a zeroed one */

/* One message as it came. MITE_EPROTO: it is none. MITE_EINVAL: it lacks a number that its type has; what could be
 * counted of it is. */
int event_stats_take(struct event_stats *stats, struct str bytes);

/* The name of a metric that has more label sets than it may, once for each; NULL: none. */
const char *event_stats_overflowed(struct event_stats *stats);

/* Appends a map for each metric (dump.h): what changed, of a gauge everything, since who reads it may have been started
 * anew. True: there was more than DUMP_MAX, and the next dump goes on with it. Errors show in out->failed, and then
 * all of it is left for the next one. */
bool event_stats_dump(struct event_stats *stats, struct buf *out);
