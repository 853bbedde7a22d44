/* Whatever a message is, what statistics make of it and of another one like it is a dump that the exporter takes. */
#include "fuzz.h"

#include "stats/event_stats.h"
#include "stats/page.h"
#include "value/msgpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event_stats stats;
    struct page page;
    struct buf dump;

    FUZZ_ASSERT(event_stats_init(&stats, EVENT_PROCESSORS_USUAL | EVENT_PROCESSOR_DNS, 4, NULL) == 0);
    page_init(&page, 4);
    buf_init(&dump, 0);
    for (int i = 0; i < 2; i++) {
        event_stats_take(&stats, (struct str){(const char *)data, size});
    }
    msgpack_write_list(&dump, (uint32_t)stats.count);
    event_stats_dump(&stats, &dump);
    FUZZ_ASSERT(!dump.failed && page_take_bytes(&page, buf_view(&dump), NULL) == 0);
    buf_done(&dump);
    page_done(&page);
    event_stats_done(&stats);
    return 0;
}
