#include "stats/mask.h"

/* Where a URL's host part ends, and with it what may hold a password. */
static bool ends_authority(char c)
{
    return (unsigned char)c <= ' ' || c == '/' || c == '?' || c == '#' || c == '"' || c == '\'' || c == '<' || c == '>';
}

/* The last "@" of the authority that starts at `p`; NULL when it names no user. */
static const char *find_at(const char *p, const char *end)
{
    const char *at = NULL;
    for (; p < end && !ends_authority(*p); p++) {
        if (*p == '@') {
            at = p;
        }
    }
    return at;
}

void mask_secrets(struct buf *out, struct str text)
{
    const char *p = text.p, *end = text.p + text.n;
    while (p < end) {
        const char *scheme_end = memmem(p, (size_t)(end - p), "://", 3);
        if (!scheme_end) {
            break;
        }
        const char *authority = scheme_end + 3;
        const char *at = find_at(authority, end);
        buf_append(out, p, (size_t)(authority - p));
        if (at) {
            buf_text(out, "***:***");
        }
        p = at ? at : authority;
    }
    buf_append(out, p, (size_t)(end - p));
}
