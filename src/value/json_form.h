/*
 * What JSON has no word for travels as an object whose only key is one of these names. A map that happens to look like
 * that is written as a list of pairs, so that nothing we wrote is ever taken for something else. An object with such a
 * key that holds nonsense was not written by us, and stays the map that it is.
 */
#pragma once

#include "base/str.h"

enum json_form {
    JSON_FORM_BYTES, /* base64 */
    JSON_FORM_MAP,   /* list of pairs */
    JSON_FORM_FLOAT, /* "nan", "inf" or "-inf" */
    JSON_FORM_NONE,  /* not such a name */
};

static inline enum json_form json_form_of(struct str key)
{
    static const char *const names[] = {"__bytes__", "__map__", "__float__"};

    for (int i = 0; i < JSON_FORM_NONE; i++) {
        if (str_is(key, names[i])) {
            return (enum json_form)i;
        }
    }
    return JSON_FORM_NONE;
}
