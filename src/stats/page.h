/*
 * The metrics page: what dumps (dump.h) of any number of `mite stats` add up to, in Prometheus's text format.
 *
 * A series is known by its labels as the page shows them, so that values which look the same are one. Life cycle:
 * page_init, page_take for each dump, page_write for each visitor, page_done. It stays where it is.
 */
#pragma once

#include "base/buf.h"
#include "stats/metric.h"
#include "value/value.h"

#define PAGE_METRICS_MAX  1000
#define PAGE_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define PAGE_BAD_MESSAGES "mite_exporter_bad_messages_total" /* the exporter's own: no dump may have it */

struct page {
    struct map metrics; /* name -> struct metric, owned */
    size_t max_series;  /* of each */
    struct buf key;
};

void page_init(struct page *page, size_t max_series) PRIVATE_API(page_init);
void page_done(struct page *page) PRIVATE_API(page_done);

/* Adds a dump. MITE_EPROTO, MITE_ELIMIT, MITE_ENOMEM: nothing of it has been added, the sentence says why. */
int page_take(struct page *page, const struct value *dump, struct mite_error *error) PRIVATE_API(page_take);
int page_take_bytes(struct page *page, struct str bytes, struct mite_error *error);

/* The name of a metric that has more label sets than it may, once for each; NULL: none. */
const char *page_overflowed(struct page *page);

/* Appends the page. Errors show in out->failed. */
void page_write(struct buf *out, const struct page *page) PRIVATE_API(page_write);

/* One counter without labels, as page_write would have it. */
void page_write_counter(struct buf *out, const char *name, const char *help, uint64_t number);
