#include "cli/complain.h"
#include "cli/exit.h"
#include "cli/options.h"
#include "cli/python.h"
#include "cli/run.h"

int cmd_har(const struct options *options)
{
    struct mite_error error = {0};
    struct http_client_options http = {0};
    struct config config;
    struct python_options start = {.config = &config, .http = &http};
    const struct python_api *python;
    int rc, status = EXIT_GOOD;

    config_init(&config);
    rc = cli_python(&python, &error);
    if (rc == 0) {
        rc = python->start(&start, &error);
    }
    if (rc == 0) {
        rc = python->convert_har(options->positional[0], options->positional[1], options->sleep_time_s, &error);
        status = rc == MITE_EINVAL ? EXIT_USAGE : EXIT_GOOD; /* what a file's name or content is to blame for */
        python->stop();
    }
    if (rc < 0) {
        complain("mite", &error);
        error_done(&error);
        status = status == EXIT_GOOD ? EXIT_BROKE : status;
    }
    config_done(&config);
    return status;
}
