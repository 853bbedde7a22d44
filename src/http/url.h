/*
 * URLs of requests, as the WHATWG URL standard reads http and https ones: taken apart once, credentials and fragment
 * out of the way, and what is left written so that no other parser would change it. Plain ones (nearly all) are only
 * looked at. Two parts: url.c, and url_host.c for names and addresses.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

#define URL_MAX 1000000 /* bytes; libcurl takes no request line above 1 MiB */

struct url {
    struct str text;           /* the whole URL as it is requested: no credentials, no fragment */
    struct str host;           /* in `text`: lower case, ASCII, without brackets */
    struct str path;           /* in `text`, without query; starts with a slash */
    struct str fragment;       /* without #; none without */
    struct str user, password; /* as the URL had them, decoded; none without */
    uint16_t port;
    bool tls;
};

/*
 * Views into `text` where it can be taken as it is, else into `storage`, which is cleared first; both must outlive
 * `out`. A URL without scheme is http. MITE_EINVAL when it is no http or https URL: the sentence has it, masked.
 */
int url_parse(struct str text, struct buf *storage, struct url *out, struct mite_error *error);

/* What `reference` (a Location) means on a page at `base`. The views are into `storage`, which must not be the one that
 * `base` lies in. */
int url_join(const struct url *base, struct str reference, struct buf *storage, struct url *out,
             struct mite_error *error);

bool url_same_origin(const struct url *a, const struct url *b);

/* This machine itself: such an origin counts as secure for cookies, as in browsers. */
bool url_is_loopback(const struct url *url);

/* Appends the URL for a sentence: credentials masked, cut at some 200 bytes. */
void url_mask(struct str text, struct buf *out);

/* ---- between the parts ---- */

/* Appends a host as it stands in a URL, brackets included, in the one form that it has. On failure a static text for
 * what is wrong with it; NULL for no memory, too, when out->failed. */
const char *url_host_append(struct str host, struct buf *out);

/* Appends what %XX stand for. */
void url_decode(struct str text, struct buf *out);
