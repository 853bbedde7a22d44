#include "scenario/config.h"

#include <stdlib.h>

#define TEXT_PREFIX "MITE_CONF_"
#define EVAL_PREFIX "MITE_EVAL_CONF_"

extern char **environ;

void config_init(struct config *config)
{
    *config = (struct config){0};
    map_init(&config->entries);
}

static void entry_free(void *value)
{
    struct config_entry *entry = value;

    arena_done(&entry->arena);
    free(entry);
}

void config_done(struct config *config)
{
    map_done(&config->entries, entry_free);
}

int config_set(struct config *config, struct str key, const struct value *value)
{
    struct config_entry *entry = calloc(1, sizeof *entry);
    void *old = NULL;
    int rc = MITE_ENOMEM;

    if (!entry) {
        return rc;
    }
    arena_init(&entry->arena, 0);
    entry->version = config->version + 1;
    rc = value_copy(&entry->arena, value, &entry->value);
    if (rc == 0) {
        rc = map_set(&config->entries, key, entry, &old);
    }
    if (rc < 0) {
        entry_free(entry);
        return rc;
    }
    if (old) {
        entry_free(old);
    }
    config->version++;
    return 0;
}

const struct value *config_get(const struct config *config, struct str key)
{
    const struct config_entry *entry = map_get(&config->entries, key);

    return entry ? &entry->value : NULL;
}

static int set_text(struct config *config, struct str key, struct str text, struct mite_error *error)
{
    struct value value = value_text(text);
    int rc = config_set(config, key, &value);

    return rc < 0 ? error_set(error, rc, "no memory for configuration key \"" STR_FMT "\"", STR_ARG(key)) : 0;
}

/* "PREFIXkey=text" into key and text; false for other variables. */
static bool split_variable(const char *variable, const char *prefix, struct str *key, const char **text)
{
    size_t length = strlen(prefix);
    const char *equals = strchr(variable, '=');

    if (strncmp(variable, prefix, length) != 0 || !equals || equals <= variable + length) {
        return false;
    }
    *key = (struct str){variable + length, (size_t)(equals - variable) - length};
    *text = equals + 1;
    return true;
}

int config_from_environment(struct config *config,
                            int (*eval)(void *arg, struct config *config, struct str key, const char *expression,
                                        struct mite_error *error),
                            void *arg, struct mite_error *error)
{
    struct str key;
    const char *text;
    int rc = 0;

    for (char **variable = environ; variable && *variable && rc == 0; variable++) {
        if (split_variable(*variable, TEXT_PREFIX, &key, &text)) {
            rc = set_text(config, key, str_of(text), error);
        } else if (split_variable(*variable, EVAL_PREFIX, &key, &text)) {
            rc = eval
                     ? eval(arg, config, key, text, error)
                     : error_set(error, MITE_EINVAL,
                                 EVAL_PREFIX STR_FMT
                                 " is a Python expression, and this mite was built without Python; " TEXT_PREFIX STR_FMT
                                 "=TEXT gives a text",
                                 STR_ARG(key), STR_ARG(key));
        }
    }
    return rc;
}

int config_add_text(struct config *config, const char *text, struct mite_error *error)
{
    const char *colon = strchr(text, ':');

    if (!colon || colon == text) {
        return error_set(error, MITE_EINVAL, "--add-to-config: \"%s\" is not KEY:VALUE", text);
    }
    return set_text(config, (struct str){text, (size_t)(colon - text)}, str_of(colon + 1), error);
}
