/*
 * How a run stands, for the displays: what totals cannot know. Filled by whoever ties the parts together.
 */
#pragma once

#include <stdint.h>

struct progress {
    int64_t wanted, running, started; /* journeys */
    uint64_t elapsed_ns;              /* since the scenario's clock started; 0: it has not */
    int64_t duration_s;               /* -1: not known */
    double early;                     /* requests of the totals' window that were made before it began */
    double cpu_share;                 /* of one core, of late: 0.97; negative: not known */
    const char *note;                 /* NULL, or what the run waits for: "stopping: 12 journeys may finish" */
};
