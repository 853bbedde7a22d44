/*
 * Datapools and volume models that are functions: those that scenarios in C define.
 */
#pragma once

#include "scenario/datapool.h"
#include "scenario/volume_model.h"

/* Item `index` from 0 on, as a list that lasts until the next call; false: there are no more. */
typedef bool item_function(void *arg, uint64_t index, struct value *item);

/* Each item once, made when it is checked out; ids from 1. What is no list fails the checkout (MITE_EINVAL). */
int datapool_function_new(item_function *next, void *arg, struct datapool **out, struct mite_error *error);
/* All items at once, as a list in the arena. */
int items_from_function(struct arena *arena, item_function *next, void *arg, struct value *out,
                        struct mite_error *error);

/* -1: the model has stopped. */
int volume_function_new(int64_t (*volume)(void *arg, int64_t start_s, int64_t end_s), void *arg,
                        struct volume_model **out, struct mite_error *error);
