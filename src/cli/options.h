/*
 * Options: one table row each, read from the command line and from the environment (MITE_OPT_LOG_LEVEL for --log-level), into one
 * struct. A command names the group of options that it takes beyond the common ones; a `test` command accepts the
 * options of the components that it has inside.
 */
#pragma once

#include "base/error.h"
#include "http/client.h"

#include <stdbool.h>
#include <stdint.h>

struct command;

/* Repeatable options: borrowed texts in the order given. */
struct option_list {
    const char **items;
    size_t count;
};

struct options {
    const struct command *command;
    const char *positional[16]; /* what follows the command's name */
    size_t positional_count;

    const char *log_level;
    const char *config;               /* SPEC or NULL */
    struct option_list add_to_config; /* key:value */
    bool exclude_working_directory;

    double spawn_rate, max_loop_delay_s, min_loop_delay_s, delay_start_s;
    int64_t runner_max_journeys; /* 0: no limit */
    int64_t volume;
    double duration_s;   /* 0: none */
    int64_t iterations;  /* 0: none */
    double graceful_stop_s;
    bool failure_backoff;

    bool debugging, memory_tracing, journey_logging, report, hide_constant_logs;
    const char *message_processors; /* NULL: the built-in ones; "": none */
    const char *logging_webhook;

    int64_t max_errors_threshold;
    double max_response_time_threshold_ms, mean_response_time_threshold_ms;
    double standard_deviation_response_time_threshold_ms, standard_deviation_req_sec_threshold;
    const char *benchmark_percentiles;

    bool collector; /* false: --no-collector */
    const char *collector_dir, *collector_filter;
    int64_t collector_roll, collector_max_bytes;
    bool collector_use_json;
    const char *recorder_dir; /* NULL: not given */

    uint64_t connect_timeout_ns, timeout_ns;
    int64_t max_body_size;
    bool insecure;
    const char *ca_file;
    struct option_list resolve; /* HOST:PORT:ADDRESS */

    const char *address;      /* mite target */
    bool prettify_timestamps; /* mite cat */
    double sleep_time_s;      /* mite har */
};

/* A command: `names` is one or two words. `run` returns an exit status. */
struct command {
    const char *names;
    const char *arguments; /* for the usage line: "SPEC [DATAPOOL]" */
    const char *summary;   /* one line of --help */
    unsigned groups;       /* of enum option_group */
    size_t min_positional, max_positional;
    int (*run)(const struct options *options);
};

enum option_group {
    OPTIONS_RUN = 1 << 0,       /* how much runs, and how it ends */
    OPTIONS_HTTP = 1 << 1,
    OPTIONS_RESULTS = 1 << 2,   /* reports and thresholds */
    OPTIONS_COLLECTOR = 1 << 3,
    OPTIONS_RECORDER = 1 << 4,
    OPTIONS_TARGET = 1 << 5,
    OPTIONS_CAT = 1 << 6,
    OPTIONS_HAR = 1 << 7,
    OPTIONS_VOLUME = 1 << 8,    /* --volume: journey test */
};

/* MITE_EINVAL: the sentence names the option or command and the nearest one. argv is borrowed. */
int options_parse(int argc, char **argv, struct options *out, struct mite_error *error);
void options_done(struct options *options);

/* The help of the program (command NULL) or of one command, on stdout. */
void options_help(const struct command *command);

/* Every command, for the parser and the help. */
extern const struct command commands[];
extern const size_t command_count;

int cmd_journey_test(const struct options *options);
int cmd_journey_run(const struct options *options);
int cmd_scenario_test(const struct options *options);
int cmd_target(const struct options *options);
int cmd_cat(const struct options *options);
int cmd_uncat(const struct options *options);
int cmd_har(const struct options *options);
