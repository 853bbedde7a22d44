/* What the exporter makes of any bytes at its port: a refusal with a sentence that leaves nothing behind, or a page of
 * whole lines. */
#include "fuzz.h"

#include "stats/page.h"

#include <string.h>

static void check_page(const struct buf *text)
{
    const char *line = text->data, *end;

    for (; line && *line; line = end + 1) {
        end = strchr(line, '\n');
        FUZZ_ASSERT(end && end > line && *line != ' ');
        FUZZ_ASSERT(*line == '#' || memrchr(line, ' ', (size_t)(end - line)));
    }
    FUZZ_ASSERT(!text->data || strlen(text->data) == text->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mite_error error = {0};
    struct page page;
    struct buf text;

    page_init(&page, 4);
    buf_init(&text, 0);
    for (int i = 0; i < 2; i++) {
        bool good = page_take_bytes(&page, (struct str){(const char *)data, size}, &error) == 0;
        FUZZ_ASSERT(good || (error.text[0] && page.metrics.live_count == 0));
    }
    page_write(&text, &page);
    FUZZ_ASSERT(!text.failed);
    if (!memchr(data, 0, size)) { /* a zero in a label stays one */
        check_page(&text);
    }
    buf_done(&text);
    page_done(&page);
    error_done(&error);
    return 0;
}
