/*
 * Python objects to values and back. Text and bytes are not copied on the way in: the value borrows from the object,
 * which must outlive it and stay as it is; only lists, maps and bytearrays take room in the arena.
 */
#pragma once

#include "python/module.h"

/* None, bool, int of 64 bits, float, str, bytes, bytearray, list, tuple, dict and their subclasses. 0, or -1 with a
 * TypeError that names the part which no message can carry: `data["when"][2] is a datetime`. `what` is how that name
 * begins. */
int convert_to_value(PyObject *object, const char *what, struct arena *arena, struct value *out);

enum convert_lists { CONVERT_LISTS, CONVERT_TUPLES }; /* what a list becomes; keys are always tuples */

/* New reference, NULL with an exception. */
PyObject *convert_to_python(const struct value *value, enum convert_lists lists);

/* The object's UTF-8 (borrowed from it), none with TypeError when it is no str. */
struct str convert_str(PyObject *object, const char *what);
