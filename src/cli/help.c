#include "cli/complain.h"
#include "cli/exit.h"
#include "cli/options.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

static const struct {
    unsigned group;
    const char *title;
} sections[] = {
    {OPTIONS_TARGET | OPTIONS_CAT | OPTIONS_HAR | OPTIONS_BUILD | OPTIONS_INIT | OPTIONS_RECEIVER | OPTIONS_SPECS |
         OPTIONS_CTL,
     "Options"},
    {OPTIONS_VOLUME | OPTIONS_RUN | OPTIONS_GRACE | OPTIONS_RUNNER | OPTIONS_WORKERS, "How much runs, and with what"},
    {OPTIONS_FLEET | OPTIONS_CONTROLLER, "Runners"},
    {OPTIONS_RESULTS, "What is shown, and what fails the run"},
    {OPTIONS_FILES | OPTIONS_COLLECTOR | OPTIONS_RECORDER, "Files"},
    {OPTIONS_HTTP, "HTTP"},
    {OPTIONS_COMPILE, "Journeys in C"},
    {OPTIONS_COMPONENT | OPTIONS_METRICS, "Between processes"},
    {OPTIONS_COMMON, "Always"},
};

/* A test command takes the options of components, so that one set of options serves all, and needs none of them. */
static bool concerns(const struct command *command, const struct option *option)
{
    static const char *const places[] = {"-socket", "-address", "-processors"};

    if (!(option->group & OPTIONS_COMPONENTS)) {
        return true;
    }
    for (size_t i = 0; command->sockets && i < sizeof(places) / sizeof(places[0]); i++) {
        if (strstr(option->name, places[i])) {
            return strstr(command->sockets, option->name);
        }
    }
    return command->sockets;
}

static void print_option(const struct option *option)
{
    char name[80];
    int n = option->letter ? snprintf(name, sizeof(name), "-%c, ", option->letter) : 0;

    snprintf(name + n, sizeof(name) - (size_t)n, "--%s%s%s", option->name, option->value ? "=" : "",
             option->value ? option->value : "");
    printf("  %-34s", name);
    if (strlen(name) > 34) {
        printf("\n%36s", "");
    }
    printf(" %s", option->help);
    if (option->fallback && option->value && strcmp(option->fallback, "0") != 0) {
        printf(" [%s]", option->fallback);
    }
    printf("\n");
}

static void print_command(const struct command *command)
{
    char name[64];

    snprintf(name, sizeof(name), "%s %s", command->name, command->arguments);
    printf("  %-32s %s\n", name, command->summary);
}

static void print_program(void)
{
    printf("mite: load tests whose virtual users are journeys\n\nUsage: mite COMMAND [OPTIONS]\n\nCommands\n");
    for (size_t i = 0; i < command_count; i++) {
        print_command(&command_table[i]);
    }
    printf("\nExamples\n"
           "  mite scenario test mite.example:scenario\n"
           "  mite journey test shop:browse shop:users --volume=50 --duration=60\n"
           "  mite journey run shop:browse --debugging\n"
           "\nA SPEC is package.module:name; the current directory can be imported from. In C it is\n"
           "FILE.c:name, compiled when it is first used, or FILE.so:name. Every option can come from\n"
           "the environment: MITE_OPT_LOG_LEVEL=DEBUG is --log-level=DEBUG. Configuration for\n"
           "journeys: MITE_CONF_key=text, read as ctx.config.get(\"key\").\n"
           "\nExit status: 0 good; 1 errors above --max-errors-threshold or a crossed threshold; 2 usage or a\n"
           "bad spec; 3 could not start, broke or crashed; 130 ended by SIGINT or SIGTERM.\n"
           "\nmite COMMAND --help shows the options of a command.\n");
}

void help_print(const struct command *command)
{
    if (!command) {
        print_program();
        return;
    }
    printf("Usage: mite %s %s%s[OPTIONS]\n%s\n\nExample: %s\n", command->name, command->arguments,
           *command->arguments ? " " : "", command->summary, command->example);
    if (command->more) {
        printf("\n%s", command->more);
    }
    for (size_t s = 0; s < sizeof(sections) / sizeof(sections[0]); s++) {
        unsigned wanted = sections[s].group & (command->groups | OPTIONS_COMMON);

        if (!command->sockets) {
            wanted &= ~(unsigned)OPTIONS_COMPONENTS;
        }
        if (command->groups & OPTIONS_RUNNER) {
            wanted &= ~(unsigned)OPTIONS_RUN; /* what it takes and does not need, too */
        }

        if (wanted) {
            printf("\n%s\n", sections[s].title);
        }
        for (size_t i = 0; i < option_count; i++) {
            if ((option_table[i].group & wanted) && option_table[i].help && concerns(command, &option_table[i])) {
                print_option(&option_table[i]);
            }
        }
    }
}

/* `mite journey --help`: those that begin so, or the only one that does. False: there is none. */
static bool print_family(const char *word)
{
    const struct command *members[8];
    size_t count = 0;

    for (size_t i = 0; i < command_count && count < sizeof(members) / sizeof(members[0]); i++) {
        if (command_begins_with(&command_table[i], word)) {
            members[count++] = &command_table[i];
        }
    }
    if (count == 1) {
        help_print(members[0]);
    } else if (count > 1) {
        printf("Usage: mite %s COMMAND [OPTIONS]\n\nCommands\n", word);
        for (size_t i = 0; i < count; i++) {
            print_command(members[i]);
        }
        printf("\nmite %s COMMAND --help shows the options of a command.\n", word);
    }
    return count > 0;
}

int cmd_help(const struct options *options)
{
    char name[128] = "";

    if (options->positional_count == 0) {
        help_print(NULL);
        return EXIT_GOOD;
    }
    for (size_t n = options->positional_count < 2 ? 1 : 2; n > 0; n--) {
        snprintf(name, sizeof(name), n == 2 ? "%s %s" : "%s", options->positional[0],
                 n == 2 ? options->positional[1] : "");
        for (size_t i = 0; i < command_count; i++) {
            if (strcmp(command_table[i].name, name) == 0) {
                help_print(&command_table[i]);
                return EXIT_GOOD;
            }
        }
    }
    if (options->positional_count == 1 && print_family(options->positional[0])) {
        return EXIT_GOOD;
    }
    struct mite_error error = {0};
    unknown_command(options->positional, options->positional_count, &error);
    complain("mite", &error);
    error_done(&error);
    return EXIT_USAGE;
}
