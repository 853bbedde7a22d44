/* Exit statuses, the first that applies; part of the contract. */
#pragma once

enum exit_status {
    EXIT_GOOD = 0,
    EXIT_FAILED = 1,      /* more errors than allowed, a crossed threshold, lost datapool items */
    EXIT_USAGE = 2,       /* usage or a bad spec, found before any load */
    EXIT_BROKE = 3,       /* could not start, broke or crashed */
    EXIT_SIGNALLED = 130, /* ended by SIGINT, SIGTERM or SIGHUP */
};
