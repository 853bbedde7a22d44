#include "cli/options.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define ENVIRONMENT_PREFIX "MITE_OPT_"

static void *field_of(struct options *options, const struct option *option)
{
    return (char *)options + option->offset;
}

static bool parse_switch(const char *text, bool *on)
{
    static const char *const yes[] = {"on", "1", "true", "yes"}, *const no[] = {"off", "0", "false", "no", ""};

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcasecmp(text, yes[i]) == 0) {
            *on = true;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (strcasecmp(text, no[i]) == 0) {
            *on = false;
            return true;
        }
    }
    return false;
}

static int set_number(struct options *options, const struct option *option, const char *shown, const char *text,
                      struct mite_error *error)
{
    bool whole = option->kind == OPTION_INTEGER;
    long long integer = 0;
    double number = 0;

    if (whole ? !str_to_int64(text, &integer) : !str_to_double(text, &number)) {
        return error_set(error, MITE_EINVAL, "%s=%s: %s is expected", shown, text,
                         whole ? "a whole number" : "a number");
    }
    if (whole) {
        number = (double)integer;
    }
    if (number < option->least) {
        return number <= 0 && !whole && option->least > 0
                   ? error_set(error, MITE_EINVAL, "%s=%s: more than 0 is expected", shown, text)
                   : error_set(error, MITE_EINVAL, "%s=%s: at least %g is expected", shown, text, option->least);
    }
    if (number > option->most) {
        return error_set(error, MITE_EINVAL, "%s=%s: at most %g is expected", shown, text, option->most);
    }
    if (whole) {
        *(int64_t *)field_of(options, option) = integer;
    } else {
        *(double *)field_of(options, option) = number;
    }
    return 0;
}

/* `shown` is how the user named the option: "--volume" or "MITE_OPT_VOLUME". */
static int set_value(struct options *options, const struct option *option, const char *shown, const char *text,
                     struct mite_error *error)
{
    enum log_level level;
    bool on;

    switch (option->kind) {
    case OPTION_FLAG:
    case OPTION_OFF:
    case OPTION_ON_OFF:
        if (!parse_switch(text, &on)) {
            return error_set(error, MITE_EINVAL, "%s=%s: on or off is expected", shown, text);
        }
        *(bool *)field_of(options, option) = option->kind == OPTION_OFF ? !on : on;
        return 0;
    case OPTION_INTEGER:
    case OPTION_NUMBER:
        return set_number(options, option, shown, text, error);
    case OPTION_LIST: {
        struct option_list *list = field_of(options, option);

        if (list->count == OPTION_LIST_MAX) {
            return error_set(error, MITE_EINVAL, "%s: at most %d of them", shown, OPTION_LIST_MAX);
        }
        list->items[list->count++] = text;
        return 0;
    }
    case OPTION_TEXT:
    case OPTION_LEVEL:
        if (option->kind == OPTION_LEVEL && !log_level_parse(text, &level)) {
            return error_set(error, MITE_EINVAL, "%s=%s: the levels are DEBUG, INFO, WARNING, ERROR, CRITICAL", shown,
                             text);
        }
        *(const char **)field_of(options, option) = text;
        return 0;
    }
    return 0;
}

/* The next row of that name behind `row`; NULL: from the first on. */
static const struct option *find_option(const struct option *row, struct str name)
{
    for (row = row ? row + 1 : option_table; row < option_table + option_count; row++) {
        if (str_is(name, row->name)) {
            return row;
        }
    }
    return NULL;
}

/* Into the fields of all rows that share the option's name. */
static int set_named(struct options *options, const struct option *option, const char *shown, const char *text,
                     struct mite_error *error)
{
    int rc = 0;

    for (; rc == 0 && option; option = find_option(option, str_of(option->name))) {
        rc = set_value(options, option, shown, text, error);
    }
    return rc;
}

/* The option whose name is nearest to the word; NULL: none is near. */
static const char *nearest_option(const char *word)
{
    const char *names[128];
    size_t count = 0;

    for (; count < option_count && count < sizeof(names) / sizeof(names[0]); count++) {
        names[count] = option_table[count].name;
    }
    return str_nearest(word, names, count);
}

static int unknown_option(struct str name, struct mite_error *error)
{
    char word[64];

    snprintf(word, sizeof(word), STR_FMT, STR_ARG(name));
    const char *nearest = nearest_option(word);
    return nearest ? error_set(error, MITE_EINVAL, "unknown option --%s (did you mean --%s?)", word, nearest)
                   : error_set(error, MITE_EINVAL, "unknown option --%s (mite --help lists what there is)", word);
}

static int set_defaults(struct options *options, struct mite_error *error)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];

        if (option->kind == OPTION_OFF) {
            *(bool *)field_of(options, option) = true;
        } else if (option->fallback) {
            int rc = set_value(options, option, option->name, option->fallback, error);

            if (rc < 0) {
                return rc;
            }
        }
    }
    return 0;
}

/* SPAWN_RATE is spawn-rate; views into `out`. */
static struct str name_from_environment(struct str variable, char *out, size_t size)
{
    size_t n = variable.n < size ? variable.n : size - 1;

    for (size_t i = 0; i < n; i++) {
        out[i] = variable.p[i] == '_' ? '-' : (char)tolower((unsigned char)variable.p[i]);
    }
    out[n] = '\0';
    return (struct str){out, n};
}

/* MITE_OPT_SPAWN_RATE=5 is --spawn-rate=5. */
static int read_environment(struct options *options, struct mite_error *error)
{
    for (char **entry = environ; entry && *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        size_t prefix = sizeof(ENVIRONMENT_PREFIX) - 1;
        char shown[96], word[80];

        if (strncmp(*entry, ENVIRONMENT_PREFIX, prefix) != 0 || !equals) {
            continue;
        }
        struct str variable = {*entry + prefix, (size_t)(equals - *entry) - prefix};
        const struct option *option = find_option(NULL, name_from_environment(variable, word, sizeof(word)));
        snprintf(shown, sizeof(shown), ENVIRONMENT_PREFIX STR_FMT, STR_ARG(variable));
        if (!option) {
            const char *nearest = nearest_option(word);
            return error_set(error, MITE_EINVAL, "the environment has %s, but there is no option --%s%s%s%s", shown,
                             word, nearest ? " (did you mean --" : "", nearest ? nearest : "", nearest ? "?)" : "");
        }
        int rc = set_named(options, option, shown, equals + 1, error);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

struct words {
    const char *items[POSITIONAL_MAX];
    size_t count;
    bool help, version;
    const struct option *given[OPTION_LIST_MAX]; /* to be checked against the command's groups */
    size_t given_count;
};

/* argv[*index] is `--something`; takes the next argument too when the option wants a value and has no `=`. */
static int read_option(int argc, char **argv, int *index, struct options *options, struct words *words,
                       struct mite_error *error)
{
    const char *argument = argv[*index] + 2, *equals = strchr(argument, '=');
    struct str name = {argument, equals ? (size_t)(equals - argument) : strlen(argument)};
    const struct option *option = find_option(NULL, name);
    char shown[80];

    if (!option) {
        return unknown_option(name, error);
    }
    snprintf(shown, sizeof(shown), "--%s", option->name);
    if (words->given_count < OPTION_LIST_MAX) {
        words->given[words->given_count++] = option;
    }
    if (equals) {
        return set_named(options, option, shown, equals + 1, error);
    }
    if (option->kind == OPTION_FLAG || option->kind == OPTION_OFF) {
        return set_named(options, option, shown, "on", error);
    }
    if (*index + 1 == argc) {
        return error_set(error, MITE_EINVAL, "%s needs a value: %s=%s", shown, shown, option->value);
    }
    return set_named(options, option, shown, argv[++*index], error);
}

/* argv[*index] is `-o` or `-oVALUE`. */
static int read_letter(int argc, char **argv, int *index, struct options *options, struct words *words,
                       struct mite_error *error)
{
    const char *argument = argv[*index], *value = argument + 2;
    const struct option *option = NULL;
    char shown[] = {'-', argument[1], '\0'};

    for (size_t i = 0; !option && i < option_count; i++) {
        option = option_table[i].letter == argument[1] ? &option_table[i] : NULL;
    }
    if (!option) {
        return error_set(error, MITE_EINVAL, "unknown option %s (options are words: mite --help)", argument);
    }
    if (words->given_count < OPTION_LIST_MAX) {
        words->given[words->given_count++] = option;
    }
    if (!*value) {
        if (*index + 1 == argc) {
            return error_set(error, MITE_EINVAL, "%s needs a value: %s %s", shown, shown, option->value);
        }
        value = argv[++*index];
    }
    return set_named(options, option, shown, value, error);
}

static int add_word(struct words *words, const char *word, struct mite_error *error)
{
    if (words->count == POSITIONAL_MAX) {
        return error_set(error, MITE_EINVAL, "too many arguments, from %s on", word);
    }
    words->items[words->count++] = word;
    return 0;
}

static int read_words(int argc, char **argv, struct options *options, struct words *words, struct mite_error *error)
{
    bool only_words = false;
    int rc = 0;

    for (int i = 1; rc == 0 && i < argc; i++) {
        const char *argument = argv[i];

        if (only_words || argument[0] != '-' || !argument[1]) {
            rc = add_word(words, argument, error);
        } else if (strcmp(argument, "--") == 0) {
            only_words = true;
        } else if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            words->help = true;
        } else if (strcmp(argument, "--version") == 0 || strcmp(argument, "-V") == 0) {
            words->version = true;
        } else if (argument[1] == '-') {
            rc = read_option(argc, argv, &i, options, words, error);
        } else {
            rc = read_letter(argc, argv, &i, options, words, error);
        }
    }
    return rc;
}

/* The command that the first one or two words name; *used tells how many. */
static const struct command *find_command(const struct words *words, size_t *used)
{
    for (size_t i = 0; i < command_count; i++) {
        char name[64];

        for (size_t n = 1; n <= 2 && n <= words->count; n++) {
            snprintf(name, sizeof(name), n == 1 ? "%s" : "%s %s", words->items[0], n == 1 ? "" : words->items[1]);
            if (strcmp(name, command_table[i].name) == 0) {
                *used = n;
                return &command_table[i];
            }
        }
    }
    return NULL;
}

static const struct command *command_named(const char *name)
{
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(command_table[i].name, name) == 0) {
            return &command_table[i];
        }
    }
    return NULL;
}

bool command_begins_with(const struct command *command, const char *word)
{
    size_t length = strlen(word);

    return strncmp(command->name, word, length) == 0 && command->name[length] == ' ';
}

/* "mite journey test or mite journey run": the commands of two words, one of which is this. Empty: none. */
static void write_family(struct buf *out, const char *word)
{
    for (size_t i = 0; i < command_count; i++) {
        const char *space = strchr(command_table[i].name, ' ');

        if (command_begins_with(&command_table[i], word) || (space && strcmp(space + 1, word) == 0)) {
            buf_printf(out, "%smite %s", out->size ? " or " : "", command_table[i].name);
        }
    }
}

int unknown_command(const char *const *words, size_t count, struct mite_error *error)
{
    const char *names[32], *nearest;
    char word[128];
    struct buf family;
    int code;

    for (size_t i = 0; i < command_count; i++) {
        names[i] = command_table[i].name;
    }
    snprintf(word, sizeof(word), "%s%s%s", words[0], count > 1 ? " " : "", count > 1 ? words[1] : "");
    nearest = str_nearest(word, names, command_count);
    buf_init(&family, 0);
    write_family(&family, words[0]);
    if (!nearest && family.size == 0) {
        nearest = str_nearest(words[0], names, command_count);
        snprintf(word, sizeof(word), "%s", words[0]);
    }
    if (nearest) {
        code = error_set(error, MITE_EINVAL, "unknown command %s (did you mean mite %s?)", word, nearest);
    } else if (family.size > 0) {
        code = error_set(error, MITE_EINVAL, "unknown command %s: it is %s", word, buf_view(&family).p);
    } else {
        code = error_set(error, MITE_EINVAL, "unknown command %s (mite --help lists what there is)", word);
    }
    buf_done(&family);
    return code;
}

/* Whether one of the rows of that name is the command's. */
static bool takes(const struct command *command, const struct option *option)
{
    while (option && !(option->group & (command->groups | OPTIONS_COMMON))) {
        option = find_option(option, str_of(option->name));
    }
    return option;
}

static int check_command(const struct options *options, const struct words *words, struct mite_error *error)
{
    const struct command *command = options->command;

    for (size_t i = 0; i < words->given_count; i++) {
        if (!takes(command, words->given[i])) {
            return error_set(error, MITE_EINVAL, "mite %s has no option --%s (mite %s --help lists what it has)",
                             command->name, words->given[i]->name, command->name);
        }
    }
    if (options->positional_count < command->min_positional || options->positional_count > command->max_positional) {
        return error_set(error, MITE_EINVAL, "%s: usage: mite %s%s%s",
                         options->positional_count < command->min_positional ? "an argument is missing"
                                                                             : "too many arguments",
                         command->name, *command->arguments ? " " : "", command->arguments);
    }
    return 0;
}

int options_parse(int argc, char **argv, struct options *out, struct mite_error *error)
{
    struct words words = {0};
    struct mite_error trouble = {0};
    size_t used = 0;
    int rc;

    *out = (struct options){0};
    rc = set_defaults(out, error);
    int environment = rc == 0 ? read_environment(out, &trouble) : 0;
    if (rc == 0) {
        rc = read_words(argc, argv, out, &words, error);
    }
    if (rc < 0) {
        return rc;
    }
    if (words.version || (words.count == 0 && words.help)) {
        out->command = command_named(words.version ? "version" : "help");
        return 0;
    }
    if (words.count == 0) {
        return error_set(error, MITE_EINVAL, "a command is missing: mite --help lists them");
    }
    out->command = words.help ? command_named("help") : find_command(&words, &used); /* `cat --help` is `help cat` */
    if (!out->command) {
        return unknown_command(words.items, words.count, error);
    }
    if (environment < 0 && out->command->run != cmd_help && out->command->run != cmd_version) {
        return error_set(error, environment, "%s", trouble.text);
    }
    out->positional_count = words.count - used;
    memcpy(out->positional, words.items + used, out->positional_count * sizeof(words.items[0]));
    return words.help ? 0 : check_command(out, &words, error);
}
