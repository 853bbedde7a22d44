/*
 * A volume model that wants what it was told last: the controller elsewhere asks the scenario's own.
 */
#pragma once

#include "scenario/volume_model.h"

/* Wants 0 until it is told otherwise. NULL without memory. */
struct volume_model *directed_model_new(void);
void directed_model_want(struct volume_model *model, int64_t wanted);
