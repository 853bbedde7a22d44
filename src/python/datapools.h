/*
 * Datapools: mite's own as C types (RecyclableIterableDataPool, IterableDataPool, DataPoolItem), and an adapter that
 * makes a struct datapool of any object with checkout and checkin, coroutines or plain functions.
 */
#pragma once

#include "python/module.h"

/* `label` is what sentences call the pool: "datapool shop:users", "the datapool of shop:visit". `config` is a
 * ConfigManager for checkouts that take one. The object is kept. MITE_EINVAL: it is no datapool. */
int datapools_adapt(PyObject *object, const char *label, PyObject *config, struct datapool **out,
                    struct mite_error *error);
