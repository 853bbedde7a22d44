/*
 * Configuration: key → value, shared by controller and runners. Each change has a number, so that a runner can be sent
 * what is new to it.
 */
#pragma once

#include "base/map.h"
#include "value/value.h"

struct config {
    struct map entries; /* of struct config_entry */
    uint64_t version;   /* of the newest change */
};

struct config_entry {
    struct arena arena; /* holds the value */
    struct value value;
    uint64_t version;
};

void config_init(struct config *config) PRIVATE_API(config_init);
void config_done(struct config *config) PRIVATE_API(config_done);
int config_set(struct config *config, struct str key, const struct value *value) PRIVATE_API(config_set); /* copied */
const struct value *config_get(const struct config *config, struct str key) PRIVATE_API(config_get);      /* or NULL */

/* MITE_CONF_key=text from the environment. MITE_EVAL_CONF_key is found too: each goes to `eval` (NULL: an error that
 * says that this needs Python), which sets the entry itself. */
int config_from_environment(struct config *config,
                            int (*eval)(void *arg, struct config *config, struct str key, const char *expression,
                                        struct mite_error *error),
                            void *arg, struct mite_error *error) PRIVATE_API(config_from_environment);

/* "key:value" of --add-to-config, split at the first colon. MITE_EINVAL without a colon. */
int config_add_text(struct config *config, const char *text, struct mite_error *error) PRIVATE_API(config_add_text);
