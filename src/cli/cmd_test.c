#include "cli/run.h"

#include <stdlib.h>

int run_command(const struct options *options, enum run_kind kind)
{
    struct run *run = malloc(sizeof(*run));
    int status = EXIT_BROKE;

    if (run) {
        if (run_open(run, options, kind) == 0) {
            run_go(run);
        }
        status = run_close(run);
        free(run);
    }
    return status;
}

int cmd_scenario_test(const struct options *options)
{
    return run_command(options, RUN_SCENARIO);
}

int cmd_journey_test(const struct options *options)
{
    return run_command(options, RUN_JOURNEY);
}

int cmd_journey_run(const struct options *options)
{
    return run_command(options, RUN_ONCE);
}
