/* `mite target`: serves until SIGINT or SIGTERM, which is how a server ends as asked: exit status 0. */
#include "cli/complain.h"
#include "cli/exit.h"
#include "cli/options.h"

#include "engine/signals.h"
#include "server/target.h"

#include <stdio.h>
#include <sys/resource.h>

/* One descriptor a connection: as many as the system lets us have. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void on_signal(void *arg, int number, int count)
{
    loop_stop(arg);
}

/* The first line of stdout is the address, for people and for scripts that started us. */
static int serve(struct loop *loop, const struct target *target, struct mite_error *error)
{
    int code = signals_start(loop, on_signal, loop, error);
    if (code != 0) {
        return code;
    }
    if (printf("%s\n", target_url(target)) < 0 || fflush(stdout) != 0) {
        code = error_set(error, MITE_EIO, "cannot write the address to stdout");
    } else {
        code = loop_run(loop, error);
    }
    signals_stop();
    return code;
}

int cmd_target(const struct options *options)
{
    struct mite_error error = {0};
    struct loop *loop;
    raise_descriptor_limit();
    int code = loop_new(&loop, &error);
    if (code == 0) {
        struct target *target;
        code = target_start(loop, options->address, &target, &error);
        if (code == 0) {
            code = serve(loop, target, &error);
            target_stop(target);
        }
        int closed = loop_free(loop, code == 0 ? &error : NULL);
        code = code == 0 ? closed : code;
    }
    if (code != 0) {
        complain("mite target", &error);
    }
    error_done(&error);
    return code == 0 ? EXIT_GOOD : code == MITE_EINVAL ? EXIT_USAGE : EXIT_BROKE;
}
