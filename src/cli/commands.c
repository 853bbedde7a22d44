#include "base/error.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/complain.h"
#include "cli/exit.h"
#include "cli/options.h"
#include "engine/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct command command_table[] = {
    {"scenario test", "SPEC", "run a scenario on this machine", "mite scenario test mite.example:scenario",
     OPTIONS_TEST | OPTIONS_WORKERS | OPTIONS_FLEET, 1, 1, cmd_scenario_test},
    {"journey test", "SPEC [DATAPOOL]", "run one journey, again and again",
     "mite journey test mite.example:journey mite.example:datapool --duration=10",
     OPTIONS_TEST | OPTIONS_VOLUME | OPTIONS_WORKERS | OPTIONS_FLEET, 1, 2, cmd_journey_test},
    {"journey run", "SPEC [DATAPOOL]", "run one journey once",
     "mite journey run mite.example:journey mite.example:datapool", OPTIONS_TEST, 1, 2, cmd_journey_run},
    {"init", "DIR", "write a small project that runs", "mite init --c shop", OPTIONS_INIT, 1, 1, cmd_init},
    {"build", "FILE.c...", "make a library of journeys in C, for machines without a compiler",
     "mite build shop.c -o shop.so", OPTIONS_BUILD | OPTIONS_COMPILE, 1, POSITIONAL_MAX, cmd_build},
    {"target", "", "serve HTTP to try load tests on", "mite target --address=127.0.0.1:8080", OPTIONS_TARGET, 0, 0,
     cmd_target, NULL,
     "  /                 a small text\n"
     "  /delay/MS         the same, MS milliseconds later\n"
     "  /status/N         an empty answer with that status\n"
     "  /bytes/N          N bytes\n"
     "  /echo, /headers   the request as JSON, or its headers\n"
     "  /cookies          its cookies; /cookies/set?k=v sets one\n"
     "  /redirect/N       N redirects, then the small text\n"
     "  /gzip             a compressed answer\n"
     "  /users/create     POST {\"username\": ..., \"password\": ...}: 201, or 409 when there is one of that name\n"
     "  /login            POST the same: 200, or 401\n"
     "  /drop, /stall     closes the connection; never answers\n"},
    {"har", "IN OUT", "write a journey from a browser's HAR file", "mite har shop.har shop.py", OPTIONS_HAR, 2, 2,
     cmd_har},
    {"cat", "FILE", "show a file of messages as JSON lines", "mite cat collector_data/current", OPTIONS_CAT, 1, 1,
     cmd_cat},
    {"uncat", "[FILE]", "turn such lines back into messages", "mite cat FILE | mite uncat > COPY", 0, 0, 1, cmd_uncat},
    {"controller", "SPEC", "run a scenario over runners that come from anywhere",
     "mite controller mite.example:scenario --controller-socket=tcp://0.0.0.0:14301",
     OPTIONS_RUN | OPTIONS_GRACE | OPTIONS_RESULTS | OPTIONS_COMPONENTS | OPTIONS_FLEET | OPTIONS_CONTROLLER |
         OPTIONS_COMPILE,
     1, 1, cmd_controller, "controller-socket message-socket"},
    {"runner", "", "run journeys for a controller elsewhere",
     "mite runner --controller-socket=tcp://controller:14301 --message-socket=tcp://duplicator:14302",
     OPTIONS_RUN | OPTIONS_RUNNER | OPTIONS_WORKERS | OPTIONS_HTTP | OPTIONS_COMPILE | OPTIONS_COMPONENT, 0, 0,
     cmd_runner, "controller-socket message-socket"},
    {"ctl", "COMMAND [ARGUMENT...]", "steer a running test: status, volume, pause, resume, stop, config",
     "mite ctl volume shop:browse 1.5", OPTIONS_COMPONENT | OPTIONS_CTL, 1, 3, cmd_ctl, "controller-socket",
     "  status                  what runs, and what each runner does\n"
     "  volume SCENARIO FACTOR  a journey, by its id or spec, runs FACTOR times what its model says\n"
     "  pause, resume           start nothing for a while; the scenario's clock goes on\n"
     "  stop                    start nothing more: the test comes to its end\n"
     "  config KEY=VALUE        what journeys read as ctx.config, from their runner's next orders on\n"},
    {"duplicator", "OUT_SOCKET...", "pass every event on to several sockets",
     "mite duplicator tcp://127.0.0.1:14303 tcp://127.0.0.1:14304", OPTIONS_COMPONENT, 1, POSITIONAL_MAX,
     cmd_duplicator, "message-socket"},
    {"collector", "", "write every event to files", "mite collector --collector-dir=data",
     OPTIONS_COMPONENT | OPTIONS_COLLECTOR | OPTIONS_SPECS, 0, 0, cmd_collector, "collector-socket"},
    {"recorder", "", "write the data that journeys created to files", "mite recorder --recorder-dir=data",
     OPTIONS_COMPONENT | OPTIONS_RECORDER, 0, 0, cmd_recorder, "recorder-socket"},
    {"receiver", "SOCKET", "give every event to classes of your own",
     "mite receiver tcp://127.0.0.1:14303 --processor=shop:Alarm", OPTIONS_COMPONENT | OPTIONS_RECEIVER | OPTIONS_SPECS,
     1, 1, cmd_receiver, ""},
    {"stats", "", "count events for Prometheus", "mite stats --stats-in-socket=tcp://127.0.0.1:14304",
     OPTIONS_COMPONENT | OPTIONS_METRICS | OPTIONS_SPECS, 0, 0, cmd_stats,
     "stats-in-socket stats-out-socket stats-include-processors stats-exclude-processors"},
    {"prometheus_exporter", "", "show what stats count to Prometheus",
     "mite prometheus_exporter --web-address=127.0.0.1:9301", OPTIONS_COMPONENT | OPTIONS_METRICS, 0, 0,
     cmd_prometheus_exporter, "stats-out-socket web-address"},
    {"keygen", "DIR", "make keys for connections that others cannot use or read", "mite keygen keys", 0, 1, 1,
     cmd_keygen, NULL, "DIR gets server.key and client.key, which are secret, and server.pub and client.pub.\n"},
    {"help", "[COMMAND]", "this page, or the options of a command", "mite help scenario test", 0, 0, 2, cmd_help},
    {"version", "", "the version", "mite --version", 0, 0, 0, cmd_version},
};
const size_t command_count = sizeof(command_table) / sizeof(command_table[0]);

int cmd_version(const struct options *options)
{
    printf("mite %s\n", MITE_VERSION);
    return EXIT_GOOD;
}

/* A stream that the caller has closed becomes /dev/null, or what is opened next would get its number, and with it what
 * is said. */
static void hold_streams(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

/* A shell that is no terminal's starts what is behind a `&` with SIGINT ignored. A run ends by it all the same, and so
 * does what comes before the run: Python takes the signal only if it is not ignored. */
static void heed_interrupts(void)
{
    struct sigaction action;

    if (sigaction(SIGINT, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
        signal(SIGINT, SIG_DFL);
    }
}

/* Results that could not be written are no success. A reader that has left (`| head`) has what it wanted. */
static int check_output(int status)
{
    if (fflush(stdout) == 0 || errno == EPIPE) {
        return status;
    }
    fprintf(stderr, "mite: cannot write to stdout: %s\n", strerror(errno));
    return status == EXIT_GOOD || status == EXIT_FAILED ? EXIT_BROKE : status;
}

int mite_main(int argc, char **argv)
{
    struct options options;
    struct mite_error error = {0};
    enum log_level level = LOG_INFO;

    hold_streams();
    heed_interrupts();
    if (options_parse(argc, argv, &options, &error) < 0) {
        complain("mite", &error);
        error_done(&error);
        return EXIT_USAGE;
    }
    log_level_parse(options.log_level, &level);
    log_set_level(level);

    int status = options.command->run(&options);

    crash_set_who(NULL, NULL); /* our own exit() is none of theirs */
    return check_output(status);
}
