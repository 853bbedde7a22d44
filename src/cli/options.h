/*
 * Options: one table row each, read from the command line and from the environment (MITE_OPT_LOG_LEVEL for
 * --log-level), into one struct. A command names the groups of options that it takes; a `test` command takes those of
 * the components that it has inside.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTION_LIST_MAX 256
#define POSITIONAL_MAX  64

struct command;

/* A repeatable option: borrowed texts in the order given. */
struct option_list {
    const char *items[OPTION_LIST_MAX];
    size_t count;
};

/* Everything is borrowed from argv and the environment. Seconds are doubles as the user wrote them. */
struct options {
    const struct command *command;
    const char *positional[POSITIONAL_MAX]; /* what follows the command's name */
    size_t positional_count;

    const char *log_level;

    const char *config;               /* SPEC or NULL */
    struct option_list add_to_config; /* key:value */
    bool exclude_working_directory;
    double spawn_rate, max_loop_delay_s, min_loop_delay_s, delay_start_s;
    int64_t runner_max_journeys; /* 0: no limit */
    int64_t volume;
    double duration_s;  /* 0: as the volume models say */
    int64_t iterations; /* 0: no limit */
    double graceful_stop_s;
    bool failure_backoff;
    bool debugging, memory_tracing;
    int64_t fiber_stack; /* bytes */

    bool journey_logging, report, hide_constant_logs;
    const char *message_processors; /* NULL: the built-in ones; "": none */
    const char *logging_webhook;
    int64_t max_errors_threshold;
    double max_response_time_ms, mean_response_time_ms, standard_deviation_response_time_ms;
    double standard_deviation_req_sec;
    const char *benchmark_percentiles;

    bool collector;
    const char *collector_dir, *collector_filter;
    int64_t collector_roll, collector_max_bytes;
    int64_t collector_most_bytes; /* the same for mite collector; 0: no limit */
    bool collector_use_json;
    const char *recorder_dir; /* NULL: not given */

    double connect_timeout_s, timeout_s;
    int64_t max_body_size;
    bool insecure;
    const char *http_transport, *http_version;
    struct option_list local_address;
    const char *ca_file;
    struct option_list resolve; /* HOST:PORT:ADDRESS */

    const char *cflags, *ldflags; /* for the compiler of journeys in C; NULL: none */

    /* Sockets and addresses of the distributed components. */
    const char *controller_socket, *message_socket, *collector_socket, *stats_in_socket, *stats_out_socket,
        *recorder_socket, *web_address, *message_backend;
    const char *curve_key, *curve_server_key, *curve_allow; /* NULL: not given */
    int64_t send_buffer;                                    /* bytes */
    double component_stop_s;                                /* --graceful-stop of components */
    const char *events;                                     /* mite runner: all, errors or none */
    struct option_list journeys_allow;                      /* globs; none: any */
    const char *workers;                                    /* a number or "auto" */
    struct option_list processor;                           /* mite receiver */
    double runner_timeout_s, report_interval_s;             /* of controllers */
    int64_t max_runners;
    const char *state_file;                                          /* NULL: not given */
    bool ctl_json;                                                   /* mite ctl */
    const char *stats_include_processors, *stats_exclude_processors; /* NULL: not given */
    int64_t max_label_sets;                                          /* of stats and the exporter */

    const char *address;      /* mite target */
    bool prettify_timestamps; /* mite cat */
    double sleep_time_s;      /* mite har */
    const char *output;       /* mite build; NULL: named after the first source */
    bool in_c, in_python;     /* mite init */
};

enum option_group {
    OPTIONS_COMMON = 1 << 0,
    OPTIONS_RUN = 1 << 1,
    OPTIONS_RESULTS = 1 << 2,
    OPTIONS_FILES = 1 << 3,
    OPTIONS_HTTP = 1 << 4,
    OPTIONS_COMPONENTS = 1 << 5, /* sockets; a test command accepts and does not need them */
    OPTIONS_VOLUME = 1 << 6,
    OPTIONS_TARGET = 1 << 7,
    OPTIONS_CAT = 1 << 8,
    OPTIONS_HAR = 1 << 9,
    OPTIONS_COMPILE = 1 << 10,
    OPTIONS_BUILD = 1 << 11,
    OPTIONS_INIT = 1 << 12,
    OPTIONS_BUS = 1 << 13, /* of commands that are components */
    OPTIONS_COLLECTOR = 1 << 14,
    OPTIONS_RECORDER = 1 << 15,
    OPTIONS_RECEIVER = 1 << 16,
    OPTIONS_SPECS = 1 << 17,  /* of commands that import specs and run no journeys */
    OPTIONS_RUNNER = 1 << 18, /* of mite runner: it takes OPTIONS_RUN too, and shows what it needs of them */
    OPTIONS_WORKERS = 1 << 19,
    OPTIONS_GRACE = 1 << 20, /* of commands that end a run: components have a --graceful-stop of their own */
    OPTIONS_FLEET = 1 << 21, /* of commands that lead runners */
    OPTIONS_CONTROLLER = 1 << 22,
    OPTIONS_CTL = 1 << 23,
    OPTIONS_METRICS = 1 << 24, /* of stats and the exporter */
    OPTIONS_COMPONENT = OPTIONS_COMPONENTS | OPTIONS_BUS,
    OPTIONS_TEST = OPTIONS_RUN | OPTIONS_GRACE | OPTIONS_RESULTS | OPTIONS_FILES | OPTIONS_HTTP | OPTIONS_COMPONENTS |
                   OPTIONS_COMPILE,
};

/* `name` is one or two words; `run` returns an exit status (exit.h). */
struct command {
    const char *name;
    const char *arguments; /* for the usage line: "SPEC [DATAPOOL]" */
    const char *summary;   /* its line in the program's help */
    const char *example;
    unsigned groups; /* besides OPTIONS_COMMON */
    size_t min_positional, max_positional;
    int (*run)(const struct options *options);
    const char *sockets; /* options of OPTIONS_COMPONENTS that say where it listens or connects; NULL: it has none */
    const char *more;    /* further lines of its help; NULL: none */
};

enum option_kind {
    OPTION_FLAG,
    OPTION_OFF, /* a flag that clears its bool */
    OPTION_ON_OFF,
    OPTION_TEXT,
    OPTION_LEVEL, /* a text that names a log level */
    OPTION_INTEGER,
    OPTION_NUMBER,
    OPTION_LIST,
};

/* One row of the table. Rows may share a name, where its default depends on the command: each sets its own field. */
struct option {
    const char *name; /* without the dashes */
    enum option_kind kind;
    unsigned group;       /* one or more: shown and taken in each */
    size_t offset;        /* in struct options */
    const char *fallback; /* as a user would write it; NULL: none */
    double least, most;   /* of numbers */
    const char *value;    /* what the help calls its value */
    const char *help;
    char letter; /* its short form, '\0': none */
};

extern const struct option option_table[];
extern const size_t option_count;
extern const struct command command_table[];
extern const size_t command_count;

/* MITE_EINVAL: the sentence names the option or command and the nearest one. What `--help` and `--version` ask for is
 * told by a command of that name, whatever the environment says. */
int options_parse(int argc, char **argv, struct options *out, struct mite_error *error);

/* MITE_EINVAL, always: the sentence for a command line whose first `count` words, at least one, name no command. */
int unknown_command(const char *const *words, size_t count, struct mite_error *error);

/* Whether its name is of two words, of which this is the first. */
bool command_begins_with(const struct command *command, const char *word);

/* The help of the program (command NULL) or of one command, on stdout. */
void help_print(const struct command *command);

int cmd_journey_test(const struct options *options);
int cmd_journey_run(const struct options *options);
int cmd_runner(const struct options *options);
int cmd_ctl(const struct options *options);
int cmd_controller(const struct options *options);
int cmd_scenario_test(const struct options *options);
int cmd_build(const struct options *options);
int cmd_init(const struct options *options);
int cmd_target(const struct options *options);
int cmd_collector(const struct options *options);
int cmd_receiver(const struct options *options);
int cmd_keygen(const struct options *options);
int cmd_recorder(const struct options *options);
int cmd_duplicator(const struct options *options);
int cmd_stats(const struct options *options);
int cmd_prometheus_exporter(const struct options *options);
int cmd_cat(const struct options *options);
int cmd_uncat(const struct options *options);
int cmd_har(const struct options *options);
int cmd_help(const struct options *options);
int cmd_version(const struct options *options);
