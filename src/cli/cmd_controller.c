/* `mite controller`: a run whose runners are other processes, on this machine or elsewhere. */
#include "cli/run.h"

int cmd_controller(const struct options *options)
{
    return run_command(options, RUN_CONTROLLER);
}
