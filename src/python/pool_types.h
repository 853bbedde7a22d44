/*
 * mite's own datapools as Python types. The adapter of datapools.c reaches past their coroutine-shaped methods: an item
 * goes from the pool to its journey without any Python code.
 */
#pragma once

#include "python/module.h"
#include "scenario/datapool.h"

int pool_types_exec(PyObject *module);

/* True for the exact types below: a subclass may have its own checkout. */
bool pool_is_ours(PyObject *pool);

/* DATAPOOL_OWN for any other type. *count: of one that recycles. */
enum datapool_kind pool_kind(PyObject *pool, int64_t *count);

enum pool_answer { POOL_ITEM, POOL_NONE, POOL_END, POOL_ERROR }; /* POOL_ERROR: with an exception */

/* *data: new reference to the item's tuple or list (as the user gave it, of any type). */
enum pool_answer pool_take(PyObject *pool, int64_t *id, PyObject **data);
/* 0, or -1 with an exception: no item of that id is out. */
int pool_return(PyObject *pool, int64_t id);
